// What the map is dimmed by: how to read it, how much of it to show, and where in each layer it is strongest.
import { breakable, button, closeButton, el, logit, press } from "../dom";
import { messageOf } from "../errors";
import type { LayerValue } from "../format";
import { type CellNumbers, type Lens, type Sign, holdsInAllLayers, isShare, sayerOf, strongest, wordsOf } from "../lens";
import type { Site } from "../site";
import type { State } from "../state";
import type { Dispatch } from "../store";
import { cellButton } from "./cell";

const SIGNS: readonly (readonly [Sign, string])[] = [
  ["against", "against"],
  ["both", "both"],
  ["for", "for"],
];
/** The same where other photos reach cells less often or more often. */
const FEWER_OR_MORE: Record<Sign, string> = { against: "fewer", both: "both", for: "more" };
const STRONGEST = 4;

export class Legend {
  readonly element = el("section", { class: "legend", testid: "legend", "aria-label": "What the map is dimmed by" });
  private readonly name = el("h2", { class: "legend-name" });
  private readonly note = el("p", { class: "quiet legend-note" });
  private readonly least = el("span", { class: "legend-number" });
  private readonly most = el("span", { class: "legend-number" });
  private readonly negative = el("span", { class: "scale-part is-negative", "aria-hidden": "true" });
  private readonly signs = el("div", { class: "choice", role: "group", "aria-label": "Which cells show" });
  private readonly gain = el("input", { type: "range", class: "gain", "aria-label": "How strongly faint cells show" });
  private readonly strip = el("ol", { class: "follow", testid: "follow", "aria-label": "Strongest cells, layer by layer" });
  private followed = "";

  constructor(
    stage: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    this.gain.min = "1";
    this.gain.max = "8";
    this.gain.step = "0.5";
    this.gain.addEventListener("input", () => dispatch({ type: "gain", gain: Number(this.gain.value) }));
    this.signs.append(
      ...SIGNS.map(([sign, text]) => {
        const one = button({}, () => dispatch({ type: "sign", sign }), text);
        one.dataset.sign = sign;
        return one;
      }),
    );
    const close = closeButton("Show the whole map", "Show the whole map (Esc)", () => dispatch({ type: "lens", lens: null }));
    this.element.append(
      el("header", { class: "legend-head" }, el("div", {}, this.name, this.note), close),
      el("div", { class: "scale" }, this.least, this.negative, el("span", { class: "scale-part is-positive", "aria-hidden": "true" }), this.most),
      el("div", { class: "legend-controls" }, this.signs, el("label", { class: "gain-label" }, "faint", this.gain)),
      this.strip,
    );
    this.element.hidden = true;
    stage.append(this.element);
  }

  update(state: State, layer: LayerValue, numbers: CellNumbers | null): void {
    const { lens } = state;
    this.element.hidden = lens === null;
    if (lens === null) return;
    const { heading, note } = wordsOf(lens, layer.name, (index) => this.site.className(index));
    this.name.textContent = heading;
    const isOther = numbers !== null && numbers.side !== state.shown;
    this.note.textContent = isOther ? `${note}, by the ${numbers.side} × ${numbers.side} grid` : note;
    const show = sayerOf(lens, logit);
    for (const [sign, text] of SIGNS) {
      const choice = this.signs.querySelector(`[data-sign="${sign}"]`);
      if (choice !== null) choice.textContent = lens.kind === "reach" ? FEWER_OR_MORE[sign] : text;
    }
    this.least.textContent = numbers === null ? "" : show(Math.min(numbers.least, 0));
    this.most.textContent = numbers === null ? "" : show(numbers.most);
    this.negative.hidden = isShare(lens);
    this.signs.hidden = isShare(lens);
    this.gain.value = String(state.gain);
    press(this.signs, "sign", state.sign);
    this.follow(state, lens);
  }

  /** The strongest cells of every layer that the lens holds in. */
  private follow(state: State, lens: Lens): void {
    const belongs = (layer: LayerValue): boolean => {
      if (lens.kind === "direction" && !layer.directions.includes(lens.name)) return false;
      return holdsInAllLayers(lens) ? layer.of === null : layer.name === state.layer;
    };
    const layers = this.site.atlas.layers.filter((layer) => layer.grids.length > 0 && belongs(layer));
    const key = JSON.stringify([lens, state.sign, layers.map((layer) => layer.name)]);
    if (key === this.followed) return;
    this.followed = key;
    this.strip.replaceChildren();
    for (const layer of layers) void this.followInto(this.strip.appendChild(el("li", {})), layer, lens, state.sign, key);
  }

  private async followInto(item: HTMLElement, layer: LayerValue, lens: Lens, sign: Sign, key: string): Promise<void> {
    const side = lens.kind === "like" ? lens.cell.side : (layer.grids[0]?.side ?? 0);
    try {
      const [numbers, table] = await Promise.all([this.site.lensNumbers(layer, side, lens), this.site.cells(layer, side)]);
      if (this.followed !== key) return; // another lens by now
      const cells = strongest(numbers, STRONGEST, isShare(lens) ? "both" : sign).map((k) => {
        const place = table.placeOf(k);
        const value = sayerOf(lens, logit)(numbers.values[k] ?? 0);
        const title = `${layer.name}, cell ${place.column}, ${place.row}: ${value}`;
        return cellButton(layer, place, { class: "follow-cell", px: 40, title }, () => this.dispatch({ type: "go", layer: layer.name, cell: place }));
      });
      item.replaceChildren(breakable(layer.name, { class: "quiet follow-layer" }), el("span", { class: "follow-cells" }, ...cells));
    } catch (error) {
      item.replaceChildren(el("span", { class: "quiet follow-layer", text: messageOf(error) }));
    }
  }
}
