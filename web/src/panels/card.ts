// The card beside the pointer: what the cell under it is.
import type { Cell } from "../cells";
import { el, fixed } from "../dom";
import type { LayerValue } from "../format";
import { cellIcon } from "../pictures";
import type { Site } from "../site";
import { classBars, counts, fidelityLine, mark, patches, pictureName, remarks } from "./cell";
import { comparedLine } from "./compared";

const GAP_PX = 18;

export class Card {
  private readonly element = el("aside", { class: "card", testid: "card", "aria-hidden": "true" });
  private shown = "";

  constructor(
    private readonly stage: HTMLElement,
    private readonly site: Site,
  ) {
    this.element.hidden = true;
    stage.append(this.element);
  }

  show(layer: LayerValue, cell: Cell, cellCount: number): void {
    const { side, column, row } = cell.place;
    const key = `${layer.name}/${side}/${column},${row} ${cell.cosine}`;
    if (key !== this.shown) {
      this.shown = key;
      this.fill(layer, cell, cellCount);
    }
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }

  /** Beside the cell, on the side where there is room; (x, y, size) is the cell's box on the stage. */
  put(x: number, y: number, size: number): void {
    if (this.element.hidden) return;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const { clientWidth, clientHeight } = this.stage;
    const right = x + size + GAP_PX;
    const left = right + width <= clientWidth - 8 ? right : Math.max(x - GAP_PX - width, 8);
    const top = Math.min(Math.max(y + size / 2 - height / 2, 8), Math.max(clientHeight - height - 8, 8));
    this.element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  private fill(layer: LayerValue, cell: Cell, cellCount: number): void {
    mark(this.element, layer, cell.place, cell.count);
    const head = el(
      "div",
      { class: "card-head" },
      cellIcon(layer, cell.place, 88, { class: "icon", role: "img", "aria-label": pictureName(this.site.atlas.pictures) }),
      el(
        "div",
        {},
        el("p", { class: "cell-name", text: `Cell ${cell.place.column}, ${cell.place.row}` }),
        el("p", { class: "counts", text: counts(cell).replace(" from ", ", ") }),
        fidelityLine(cell, cellCount, this.site.atlas.pictures),
        el("p", { class: "counts", text: cell.cohesion === null ? "" : `cohesion ${fixed(cell.cohesion, 2)}` }),
      ),
    );
    const real = patches(this.site, layer, cell, 40, 6);
    this.element.replaceChildren(head, ...[comparedLine(cell), remarks(cell)].filter((part) => part !== null));
    if (real !== null) this.element.append(real);
    if (cell.classes.length > 0) this.element.append(classBars(cell, null));
  }
}
