// A mouse or pen over the map → where it is. A finger has no hover: its tap is a click of the map.

export class Pointer {
  /** Place on the element in CSS pixels; null while it is elsewhere, or drags. */
  at: { readonly x: number; readonly y: number } | null = null;
  readonly undo: () => void;

  constructor(element: HTMLElement, moved: () => void) {
    const onMove = (event: PointerEvent) => {
      const box = element.getBoundingClientRect();
      const isHover = event.pointerType !== "touch" && event.buttons === 0;
      this.at = isHover ? { x: event.clientX - box.left, y: event.clientY - box.top } : null;
      moved();
    };
    const onLeave = () => {
      this.at = null;
      moved();
    };
    element.addEventListener("pointermove", onMove);
    element.addEventListener("pointerup", onMove);
    element.addEventListener("pointerdown", onMove);
    element.addEventListener("pointerleave", onLeave);
    window.addEventListener("blur", onLeave); // of a frame nobody may hear that the pointer has left it
    this.undo = () => {
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onMove);
      element.removeEventListener("pointerdown", onMove);
      element.removeEventListener("pointerleave", onLeave);
      window.removeEventListener("blur", onLeave);
    };
  }
}
