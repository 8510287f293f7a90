// Rings round the cell under the pointer and the cell that is selected, laid over the map.
import { el } from "../dom";
import type { Place } from "../places";
import type { AtlasMap } from "./map";

export class Rings {
  private readonly hover = el("div", { class: "ring ring-hover", "aria-hidden": "true" });
  private readonly selected = el("div", { class: "ring ring-selected", "aria-hidden": "true" });

  constructor(
    layer: HTMLElement,
    private readonly map: AtlasMap,
  ) {
    layer.append(this.hover, this.selected);
  }

  place(hover: Place | null, selected: Place | null): void {
    this.put(this.hover, hover);
    this.put(this.selected, selected);
  }

  private put(ring: HTMLElement, place: Place | null): void {
    ring.hidden = place === null;
    if (place === null) return;
    const box = this.map.boxOnScreen(place);
    ring.style.transform = `translate(${box.x}px, ${box.y}px)`;
    ring.style.width = ring.style.height = `${box.size}px`;
  }
}
