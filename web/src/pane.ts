// One map on the stage with what lies over it: rings, dimming, names. The page has one, or two side by side.
import type { CellTable } from "./cells";
import { el } from "./dom";
import type { GridValue, LayerValue } from "./format";
import { Drawing } from "./input/drawing";
import { Pointer } from "./input/pointer";
import type { CellNumbers, Lens, Sign } from "./lens";
import { AtlasMap } from "./map/map";
import { sizesOf } from "./map/shrinking";
import { type Ends, type Label, Overlay, type Sketch } from "./map/overlay";
import { Rings } from "./map/rings";
import type { Place, Point, View } from "./places";
import type { Evidence, Tool } from "./state";
import { cellPx } from "./tiles";

export interface PaneEvents {
  moved(pane: Pane): void;
  resized(pane: Pane): void;
  settled(pane: Pane): void;
  /** A square was clicked, or what lies beside all squares. */
  clicked(pane: Pane, place: Place | null): void;
  /** The pointer is over another square, or over none. */
  pointed(pane: Pane, place: Place | null): void;
  drawn(pane: Pane): void;
  /** A tool is being drawn with; no points once it has ended. */
  sketched(pane: Pane, points: readonly Point[]): void;
  sketchEnded(points: readonly Point[], isMore: boolean): void;
  failed(message: string): void;
}

export interface Dimming {
  readonly lens: Lens;
  readonly table: CellTable;
  readonly numbers: CellNumbers;
}

export class Pane {
  readonly element = el("div", { class: "pane" });
  readonly map: AtlasMap;
  private readonly rings: Rings;
  private readonly overlay: Overlay;
  private readonly pointer: Pointer;
  private readonly drawing: Drawing;
  /** What the map is dimmed by as it is drawn; what was asked for may still be fetched, or not be there. */
  lens: Lens | null = null;
  private layer: LayerValue | null = null;
  private side = 0;
  private shrunkBy = "";
  private marked: { readonly hover: Place | null; readonly chosen: Place | null } = { hover: null, chosen: null };

  constructor(stage: HTMLElement, map: HTMLElement, minimap: HTMLElement | null, private readonly events: PaneEvents) {
    const over = el("div", { class: "overlay" });
    this.element.append(map, over);
    stage.prepend(this.element);
    this.map = new AtlasMap(map, minimap, {
      moved: () => {
        events.moved(this);
        this.point();
        this.draw();
      },
      resized: () => events.resized(this),
      settled: () => events.settled(this),
      clicked: (at) => events.clicked(this, this.map.placeAt(at.x, at.y, this.side)),
      drawn: () => events.drawn(this),
      failed: (text) => events.failed(text),
    });
    this.overlay = new Overlay(over, this.map);
    this.rings = new Rings(over, this.map);
    this.pointer = new Pointer(map, () => this.point());
    this.drawing = new Drawing(this.element, this.map, {
      sketched: (points) => events.sketched(this, points),
      drawn: (points, isMore) => events.sketchEnded(points, isMore),
    });
  }

  get shown(): { readonly layer: LayerValue; readonly side: number } | null {
    return this.layer === null ? null : { layer: this.layer, side: this.side };
  }

  show(layer: LayerValue, grid: GridValue, evidence: Evidence): void {
    this.layer = layer;
    this.side = grid.side;
    this.map.show(layer, grid, cellPx(grid, evidence) === null ? "icons" : evidence);
  }

  name(labels: readonly Label[]): void {
    this.overlay.name(labels);
  }

  between(ends: Ends | null): void {
    this.overlay.between(ends);
  }

  dim(dimming: Dimming | null, sign: Sign, gain: number): void {
    this.lens = dimming?.lens ?? null;
    if (dimming === null) return this.overlay.clear();
    const key = JSON.stringify([dimming.lens, this.layer?.name, dimming.numbers.side, sign, gain]);
    this.overlay.dim(key, dimming.lens, dimming.table, dimming.numbers, sign, gain);
  }

  /** Icons as large as their cells are full, as far as `share` says. */
  shrink(table: CellTable | null, share: number): void {
    const key = share === 0 || table === null ? "" : `${this.layer?.slug} ${this.side} ${share}`;
    if (key === this.shrunkBy) return;
    this.shrunkBy = key;
    this.map.shrinkTo(table === null || key === "" ? null : sizesOf(this.side, table.places(), share));
  }

  choose(tool: Tool): void {
    this.drawing.choose(tool);
  }

  sketch(sketch: Sketch): void {
    this.overlay.sketch(sketch);
  }

  /** The map and what is drawn over it, in device pixels; its pixels cannot be read on a page from a double click. */
  picture(): HTMLCanvasElement {
    const over = this.overlay.picture;
    const canvas = document.createElement("canvas");
    canvas.width = over.width;
    canvas.height = over.height;
    const context = canvas.getContext("2d");
    if (context !== null) {
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--map");
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(this.map.canvas, 0, 0, canvas.width, canvas.height);
      context.drawImage(over, 0, 0);
    }
    return canvas;
  }

  /** The theme changed: what was drawn in its colours is drawn anew. */
  repaint(): void {
    this.overlay.clear();
  }

  mark(hover: Place | null, chosen: Place | null): void {
    this.marked = { hover, chosen };
    this.rings.place(hover, chosen);
  }

  draw(): void {
    this.overlay.draw();
    this.rings.place(this.marked.hover, this.marked.chosen);
  }

  point(): void {
    const { at } = this.pointer;
    this.events.pointed(this, at === null ? null : this.map.placeAt(at.x, at.y, this.side));
  }

  /** Look where another pane looks, at this moment. */
  followView(view: View): void {
    this.map.lookExactly(view);
  }

  remove(): void {
    this.pointer.undo();
    this.map.destroy();
    this.element.remove();
  }
}
