// Load, make the state, mount the parts.
import { el } from "./dom";
import { messageOf } from "./errors";
import { watchGrowth } from "./growth";
import { listenToKeys } from "./input/keyboard";
import { LabClient } from "./lab/client";
import { Page } from "./page";
import { Site } from "./site";
import { initialState } from "./state";
import { Store } from "./store";

async function main(app: HTMLElement): Promise<void> {
  const site = await Site.open();
  const store = new Store(site.atlas, initialState(site.atlas));
  const page = new Page(app, site, store);
  await page.follow(window.location.hash);
  page.start();
  // Not the address as it is now: the page itself may have written it anew meanwhile.
  window.addEventListener("hashchange", (event) => void page.follow(new URL(event.newURL).hash));
  listenToKeys(page.keys);
  if (LabClient.ofPage() !== null && !site.atlas.is_finished) watchGrowth(site, () => page.grown());
}

const app = document.getElementById("app");
if (app !== null) {
  main(app).catch((error: unknown) => {
    app.replaceChildren(el("p", { class: "notice", role: "alert", text: `This atlas cannot be shown. ${messageOf(error)}` }));
  });
}
