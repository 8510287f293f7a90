// The photo as the network sees it, with the patch on it: dragged by mouse, pen or finger, moved and sized by keys.
import { el } from "../dom";
import type { LabPlace } from "../format";
import type { PatchChoice } from "./pictures";
import { draw } from "./pictures";
import { type Sight, boxOf, settled } from "./place";

const STEP = 0.02;
const LARGE_STEP = 0.1;
const SIZE_STEP = 0.05;
const ARROWS: Record<string, readonly [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export interface BoardEvents {
  placed(place: LabPlace): void;
  removed(): void;
}

export class Board {
  readonly element = el("div", { class: "lab-board", testid: "lab-board" });
  private readonly canvas = el("canvas", { class: "lab-photo", role: "img", "aria-label": "the photo as the network sees it" });
  private readonly handle = el("div", {
    class: "lab-patch",
    testid: "lab-patch",
    role: "application",
    tabindex: "0",
    "aria-label": "Patch. Arrow keys move it, with Shift farther; plus and minus size it; Delete takes it away.",
  });
  private readonly sample = el("canvas", { "aria-hidden": "true" });
  private plain: ImageBitmap | null = null;
  private choice: PatchChoice | null = null;
  private place: LabPlace = { x: 0.5, y: 0.5, side: 0.5 };
  /** From the pointer to the patch's centre while it is dragged. */
  private grip: { readonly x: number; readonly y: number } | null = null;

  constructor(
    private readonly sight: Sight,
    private readonly events: BoardEvents,
  ) {
    this.canvas.width = sight.width;
    this.canvas.height = sight.height;
    this.element.style.aspectRatio = `${sight.width} / ${sight.height}`;
    this.sample.width = this.sample.height = 192;
    this.handle.append(this.sample);
    this.handle.hidden = true;
    this.element.append(this.canvas, this.handle);
    this.listen();
  }

  /** The photo without a patch; null while another one is fetched. */
  show(plain: ImageBitmap | null): void {
    this.plain = plain;
    this.drawPlain();
  }

  /** What the network saw, the patch on it. */
  showExact(picture: ImageBitmap): void {
    draw(this.canvas, picture);
    this.handle.classList.add("is-exact");
  }

  put(choice: PatchChoice | null, place: LabPlace): void {
    const isOther = choice !== this.choice;
    this.choice = choice;
    this.place = place;
    this.handle.hidden = choice === null;
    if (choice === null) return this.drawPlain();
    if (isOther) choice.draw(this.sample);
    this.lay();
  }

  focus(): void {
    this.handle.focus({ preventScroll: true });
  }

  private drawPlain(): void {
    this.handle.classList.remove("is-exact");
    if (this.plain !== null) draw(this.canvas, this.plain);
    else this.canvas.getContext("2d")?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** At once, by the page itself; the exact picture follows. */
  private lay(): void {
    if (this.choice === null) return;
    const box = boxOf(this.place, this.choice.aspect, this.sight);
    const { style } = this.handle;
    style.left = `${100 * box.left}%`;
    style.top = `${100 * box.top}%`;
    style.width = `${100 * box.width}%`;
    style.height = `${100 * box.height}%`;
  }

  private move(place: LabPlace): void {
    if (this.choice === null) return;
    this.place = settled(place, this.choice.aspect, this.sight);
    if (this.handle.classList.contains("is-exact")) this.drawPlain();
    this.lay();
    this.events.placed(this.place);
  }

  private listen(): void {
    const { element, handle } = this;
    const at = (event: PointerEvent) => {
      const box = element.getBoundingClientRect();
      return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    };
    element.addEventListener("pointerdown", (event) => {
      if (this.choice === null || event.button !== 0) return;
      const { x, y } = at(event);
      const isOnPatch = event.target instanceof Node && handle.contains(event.target);
      this.grip = isOnPatch ? { x: this.place.x - x, y: this.place.y - y } : { x: 0, y: 0 };
      element.setPointerCapture(event.pointerId);
      if (!isOnPatch) this.move({ ...this.place, x, y });
      this.focus();
      event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => {
      if (this.grip === null) return;
      const { x, y } = at(event);
      this.move({ ...this.place, x: x + this.grip.x, y: y + this.grip.y });
    });
    for (const end of ["pointerup", "pointercancel"] as const) element.addEventListener(end, () => (this.grip = null));
    handle.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.key(event)) return;
      event.preventDefault();
      event.stopPropagation(); // the map has these keys too
    });
  }

  private key(event: KeyboardEvent): boolean {
    const { place } = this;
    const arrow = ARROWS[event.key];
    const step = event.shiftKey ? LARGE_STEP : STEP;
    if (arrow !== undefined) this.move({ ...place, x: place.x + arrow[0] * step, y: place.y + arrow[1] * step });
    else if (event.key === "+" || event.key === "=") this.move({ ...place, side: place.side + SIZE_STEP });
    else if (event.key === "-") this.move({ ...place, side: place.side - SIZE_STEP });
    else if (event.key === "Delete" || event.key === "Backspace") this.events.removed();
    else return false;
    return true;
  }
}
