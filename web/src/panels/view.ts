// How the map is drawn: what its squares show, their sizes, names of regions.
import { button, el, press } from "../dom";
import type { AtlasValue } from "../format";
import { isFramed } from "../here";
import { type Evidence, type State, gridOf, layerOf } from "../state";
import type { Dispatch } from "../store";
import { linkButton } from "./link";

const EVIDENCE: readonly (readonly [Evidence, string, string])[] = [
  ["icons", "Icons", "Pictures painted so that the layer answers as each cell does (v)"],
  ["patches", "Real patches", "Of each cell the patch of a photo that is nearest its mean (v)"],
  ["average", "Averages", "Of each cell the average of its real patches (v)"],
];
/** Where no icon was painted, cells' pictures are photos, and real patches would be these once more. */
const EVIDENCE_OF_VECTORS: typeof EVIDENCE = [
  ["icons", "Photos", "Of each cell the photo that is nearest its mean (v)"],
  ["average", "Averages", "Of each cell the average of its real patches (v)"],
];

export class ViewMenu {
  readonly element = el("details", { class: "view-menu", testid: "view" });
  private readonly density = el("input", { type: "range", class: "gain", "aria-label": "Icon size by number of activations" });
  private readonly labels = el("input", { type: "checkbox" });

  private readonly evidence = el("div", { class: "choice", role: "group", "aria-label": "What the squares show" });

  constructor(
    private readonly atlas: AtlasValue,
    dispatch: Dispatch,
  ) {
    this.evidence.append(
      ...evidenceIn(atlas).map(([evidence, text, title]) => {
        const one = button({ title }, () => dispatch({ type: "evidence", evidence }), text);
        one.dataset.evidence = evidence;
        return one;
      }),
    );
    this.density.min = "0";
    this.density.max = "1";
    this.density.step = "0.25";
    this.density.addEventListener("input", () => dispatch({ type: "density", share: Number(this.density.value) }));
    this.labels.addEventListener("change", () => dispatch({ type: "labels", areShown: this.labels.checked }));
    const menu = el(
      "div",
      { class: "view-body" },
      this.evidence,
      el("label", { class: "view-row" }, "Size by activations", this.density),
      el("label", { class: "view-row" }, "Names of regions (n)", this.labels),
      ...(isFramed ? [] : [linkButton("Copy a link to this view", "Layer, place, class, cell, path: whatever stands in the address", "wide")]),
    );
    this.element.append(el("summary", { class: "plain", text: "View" }), menu);
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target instanceof Node && this.element.contains(event.target))) this.element.open = false;
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.element.querySelector("summary")?.focus();
      event.stopPropagation();
    });
  }

  update(state: State): void {
    this.density.value = String(state.density);
    this.labels.checked = state.hasLabels;
    const hasOthers = gridOf(layerOf(this.atlas, state.layer), state.shown)?.view_px != null;
    this.evidence.hidden = !hasOthers;
    press(this.evidence, "evidence", state.evidence);
  }
}

export function nextEvidence(atlas: AtlasValue, evidence: Evidence): Evidence {
  const all = evidenceIn(atlas);
  const at = all.findIndex(([one]) => one === evidence);
  return all[(at + 1) % all.length]?.[0] ?? "icons";
}

function evidenceIn(atlas: AtlasValue): typeof EVIDENCE {
  return atlas.pictures === "photos" ? EVIDENCE_OF_VECTORS : EVIDENCE;
}
