// Load, make the state, mount the parts.
import { el } from "./dom";
import { messageOf } from "./errors";
import { watchGrowth } from "./growth";
import * as here from "./here";
import { listenToKeys } from "./input/keyboard";
import { LabClient } from "./lab/client";
import { notebook } from "./notebook";
import { Page } from "./page";
import { Site } from "./site";
import { initialState } from "./state";
import { Store } from "./store";

async function main(app: HTMLElement): Promise<void> {
  const site = await Site.open();
  const store = new Store(site.atlas, initialState(site.atlas));
  const page = new Page(app, site, store);
  await page.follow(notebook === null ? here.hash() : await notebook.begin((address) => address !== here.hash() && here.go(address)));
  page.start();
  here.listen((hash) => void page.follow(hash));
  listenToKeys(page.keys);
  if (notebook !== null) tellNotebook(store);
  if ((notebook ?? LabClient.ofPage()) !== null && !site.atlas.is_finished) watchGrowth(site, () => page.grown());
}

/** What is chosen, after each change of it. */
function tellNotebook(store: Store): void {
  const tell = (): void => {
    const { layer, cell, picked } = store.state;
    notebook?.tell({ address: here.hash(), layer, cell, picked });
  };
  store.subscribe(tell);
  here.afterWriting(tell); // a class's name in it may have to be fetched first
  tell();
}

const app = document.getElementById("app");
if (app !== null) {
  main(app).catch((error: unknown) => {
    app.replaceChildren(el("p", { class: "notice", role: "alert", text: `This atlas cannot be shown. ${messageOf(error)}` }));
  });
}
