// What a cell is made of: clusters of its activations, each with an icon painted for it and the photos nearest to it.
import { button, el, plural, rankWords } from "../dom";
import { messageOf } from "../errors";
import type { LabFacet, LayerValue } from "../format";
import type { Place } from "../places";
import type { LabClient } from "./client";
import { thumbnail } from "./pictures";

const COUNT = 3;
const ICON_PX = 72;
const PATCH_PX = 40;

export function facets(client: LabClient, layer: LayerValue, { side, column, row }: Place): HTMLElement {
  const note = el("p", { class: "note", "aria-live": "polite" });
  const list = el("ul", { class: "facets" });
  const paint = async (): Promise<void> => {
    ask.disabled = true;
    note.textContent = "Painting …";
    try {
      const found = await client.ask("facets", { cell: { layer: layer.name, side, column, row }, count: COUNT });
      list.replaceChildren(...(await Promise.all(found.facets.map(item))));
      note.textContent = found.facets[0]?.without_patches ?? "";
      ask.remove();
    } catch (error) {
      note.textContent = messageOf(error);
      ask.disabled = false;
    }
  };
  const ask = button({ class: "wide", testid: "facets-ask" }, () => void paint(), "Paint what it is made of");
  return el("div", { testid: "facets" }, ask, note, list);
}

async function item(facet: LabFacet, at: number): Promise<HTMLElement> {
  const icon = await thumbnail(facet.picture, ICON_PX, `icon of part ${at + 1}`);
  const patches = await Promise.all(facet.patches.map((patch, i) => thumbnail(patch, PATCH_PX, `real patch ${i + 1} of part ${at + 1}`)));
  const told = `${plural(facet.activations, "activation")} from ${plural(facet.photos, "photo")}; cosine ${facet.cosine.toFixed(2)}, ${rankWords(facet.rank)}`;
  return el("li", {}, icon, el("div", {}, el("p", { class: "counts", text: told }), el("div", { class: "near" }, ...patches)));
}
