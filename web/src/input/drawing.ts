// Drags and clicks on a map while a tool is chosen that draws: a sheet over the map takes them.
import { el } from "../dom";
import type { AtlasMap } from "../map/map";
import type { Point } from "../places";
import type { Tool } from "../state";

const STILL_PX = 4; // a hand that moves less has clicked

export interface DrawingEvents {
  /** A drag goes on: what to show of it. */
  sketched(points: readonly Point[]): void;
  /** A drag has ended, or a click (one point); `isMore` with Shift. */
  drawn(points: readonly Point[], isMore: boolean): void;
}

export class Drawing {
  private readonly sheet = el("div", { class: "sheet", "aria-hidden": "true" });
  private points: Point[] = [];
  private start: { readonly x: number; readonly y: number } | null = null;
  /** How far from there it has been: a lasso may end where it began. */
  private reach = 0;

  constructor(
    pane: HTMLElement,
    private readonly map: AtlasMap,
    private readonly events: DrawingEvents,
  ) {
    this.sheet.hidden = true;
    pane.append(this.sheet);
    this.sheet.addEventListener("pointerdown", (event) => this.begin(event));
    this.sheet.addEventListener("pointermove", (event) => this.move(event));
    this.sheet.addEventListener("pointerup", (event) => this.end(event));
    this.sheet.addEventListener("pointercancel", () => this.stop());
    this.sheet.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.map.zoomBy(event.deltaY < 0 ? 1.25 : 0.8);
    });
  }

  choose(tool: Tool): void {
    this.sheet.hidden = tool === "look";
    if (tool === "look") this.stop();
  }

  private begin(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.sheet.setPointerCapture(event.pointerId);
    this.start = { x: event.clientX, y: event.clientY };
    this.reach = 0;
    this.points = [this.pointOf(event)];
    event.preventDefault();
  }

  private move(event: PointerEvent): void {
    if (this.start === null) return;
    this.reach = Math.max(this.reach, distance(event, this.start));
    this.points.push(this.pointOf(event));
    this.events.sketched(this.points);
  }

  private end(event: PointerEvent): void {
    if (this.start === null) return;
    const isClick = Math.max(this.reach, distance(event, this.start)) < STILL_PX;
    const points = isClick ? this.points.slice(0, 1) : this.points;
    this.stop();
    this.events.drawn(points, event.shiftKey);
  }

  private stop(): void {
    this.start = null;
    this.points = [];
    this.events.sketched([]);
  }

  private pointOf(event: PointerEvent): Point {
    const box = this.sheet.getBoundingClientRect();
    return this.map.pointAt(event.clientX - box.left, event.clientY - box.top);
  }
}

function distance(event: PointerEvent, from: { readonly x: number; readonly y: number }): number {
  return Math.hypot(event.clientX - from.x, event.clientY - from.y);
}
