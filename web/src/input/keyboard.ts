// Keys → actions. The map has no keys of its own.
import type { Tool } from "../state";

export interface KeyActions {
  /** To the next cell in a direction. */
  step(column: -1 | 0 | 1, row: -1 | 0 | 1): void;
  pan(x: number, y: number): void;
  zoom(factor: number): void;
  home(): void;
  layer(by: 1 | -1): void;
  nextGrid(): void;
  /** From icons to real patches to averages. */
  nextEvidence(): void;
  close(): void;
  about(): void;
  find(): void;
  names(): void;
  /** Two maps, or one. */
  compare(): void;
  cross(): void;
  tool(tool: Tool): void;
  /** The chosen cell is picked, or let go. */
  pick(): void;
  /** The path goes on to the chosen cell. */
  lengthen(): void;
  table(): void;
  gallery(): void;
  projections(): void;
  tour(by: 1 | -1): void;
  lab(): void;
}

const ARROWS: Record<string, readonly [-1 | 0 | 1, -1 | 0 | 1]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const PAN_PX = 120;

export function listenToKeys(actions: KeyActions): void {
  const plain: Record<string, () => void> = {
    "+": () => actions.zoom(1.4),
    "=": () => actions.zoom(1.4),
    "-": () => actions.zoom(1 / 1.4),
    "0": () => actions.home(),
    "[": () => actions.layer(-1),
    "]": () => actions.layer(1),
    g: () => actions.nextGrid(),
    v: () => actions.nextEvidence(),
    Escape: () => actions.close(),
    "?": () => actions.about(),
    "/": () => actions.find(),
    n: () => actions.names(),
    c: () => actions.compare(),
    x: () => actions.cross(),
    b: () => actions.tool("box"),
    l: () => actions.tool("lasso"),
    p: () => actions.tool("path"),
    s: () => actions.pick(),
    d: () => actions.lengthen(),
    t: () => actions.table(),
    m: () => actions.gallery(),
    o: () => actions.projections(),
    ",": () => actions.tour(-1),
    ".": () => actions.tour(1),
    a: () => actions.lab(),
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) {
      if (event.shiftKey) actions.pan(arrow[0] * PAN_PX, arrow[1] * PAN_PX);
      else actions.step(arrow[0], arrow[1]);
    } else {
      const act = plain[event.key];
      if (act === undefined) return;
      act();
    }
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
}

/** Where keys have a meaning of their own: in a field, in an open dialogue. */
function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}
