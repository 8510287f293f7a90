// A better icon for the selected cell, then a larger one: painted on from the map’s, beside it, with both their figures.
import { button, el, rankWords, square } from "../dom";
import type { LabIcon, LayerValue } from "../format";
import { cellIcon } from "../pictures";
import type { Place } from "../places";
import type { LabClient } from "./client";
import { type PatchChoice, decoded, draw, ofPicture } from "./pictures";

const STEPS = 128;
const LARGER = 1.4; // than the atlas's icons: a late layer then has more of it within its sight
const ICON_PX = 120;

export class BetterIcon {
  readonly element = el("div", { class: "lab-icon" });
  private readonly note = el("p", { class: "note", "aria-live": "polite" });
  private readonly pair = el("div", { class: "lab-pair", testid: "lab-icons" });
  private readonly paint = button({ class: "outlined", testid: "lab-better-icon" }, () => void this.ask(), "Better icon");
  private layer: LayerValue | null = null;
  private place: Place | null = null;
  /** Side of the icon that is asked for next; null for the atlas's own, 0 when both are done. */
  private px: number | null = null;

  constructor(
    private readonly client: LabClient,
    private readonly chosen: (patch: PatchChoice) => void,
    private readonly failed: (error: unknown) => void,
    /** Why icons cannot be painted; null where they can. */
    private readonly hindered: string | null,
  ) {
    this.element.append(el("div", { class: "lab-buttons" }, this.paint), this.note, this.pair);
    this.showCell(null, null);
  }

  showCell(layer: LayerValue | null, place: Place | null): void {
    this.layer = layer;
    this.place = place;
    this.px = null;
    this.pair.replaceChildren();
    this.paint.textContent = "Better icon";
    this.paint.disabled = place === null || this.hindered !== null;
    this.note.textContent = this.hindered ?? (place === null ? "Select a cell on the map first." : "Painted on from the map’s icon and those of the cells most like it, eight ways; the best is kept. It takes ten seconds, or several times as long on a busy machine.");
  }

  private async ask(): Promise<void> {
    const { layer, place } = this;
    if (layer === null || place === null) return;
    const { side, column, row } = place;
    this.paint.disabled = true;
    this.note.textContent = "Painting …";
    try {
      const found = await this.client.ask("icon", { cell: { layer: layer.name, side, column, row }, steps: STEPS, px: this.px });
      const picture = await decoded(found.picture);
      if (place !== this.place) return; // another cell by now
      this.px = this.px === null ? Math.round(LARGER * picture.width) : 0;
      this.show(layer, place, found, picture);
    } catch (error) {
      if (place !== this.place) return;
      this.note.textContent = "";
      this.failed(error);
    }
    this.paint.disabled = this.px === 0;
    if (this.px !== null && this.px > 0) this.paint.textContent = `Larger, ${this.px} px`;
  }

  private show(layer: LayerValue, place: Place, found: LabIcon, picture: ImageBitmap): void {
    const old = cellIcon(layer, place, ICON_PX, { role: "img", "aria-label": "the map’s icon" });
    const fresh = square(ICON_PX, { role: "img", "aria-label": "the new icon" });
    draw(fresh, picture);
    const use = button({ class: "plain" }, () => this.chosen(ofPicture({ key: found.key }, "the new icon", picture)), "use as patch");
    this.pair.replaceChildren(
      el("figure", {}, old, el("figcaption", {}, "on the map", el("br"), figures(found.stored.cosine, found.stored.rank))),
      el("figure", {}, fresh, el("figcaption", {}, `${picture.width} px, ${found.steps} steps`, el("br"), figures(found.cosine, found.rank), el("br"), use)),
    );
    const isNearer = found.cosine > found.stored.cosine;
    this.note.textContent = isNearer
      ? "The layer’s answer to the new one is nearer to the cell’s."
      : "By the cosine the map’s icon is as near to the cell or nearer; the new one is another picture of the same.";
  }
}

function figures(cosine: number, rank: number): string {
  return `cosine ${cosine.toFixed(2)}, ${rankWords(rank)}`;
}
