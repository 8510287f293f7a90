// What is drawn over the map: dimming by a lens, numbers on large cells, names of regions. One canvas, drawn anew when the
// view moves. Dimming is a picture of one pixel a cell, stretched: its cost does not grow with the number of cells.
import type { CellTable } from "../cells";
import { fixed } from "../dom";
import { type CellNumbers, type Lens, type Sign, isShare, rooted, sayerOf, strength } from "../lens";
import type { Place, Point } from "../places";
import type { AtlasMap } from "./map";

const COVER = 0.93; // how far a cell that says nothing is covered
const NUMBER_CELL_PX = 46; // cells at least this large carry their number
const HATCH_PX = 7;
const LABEL_PX = [15, 13, 12] as const;
const LABEL_GAP_PX = 6;
const AXIS_PX = 20;
const AXIS_FONT = "600 12px system-ui, sans-serif";
const HEIGHT = "↔ similar activations at similar heights"; // drawn upright: its arrow points up and down

export interface Label {
  /** On the unit square. */
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

/** What lies at the left and the right end of a map between two classes. */
export interface Ends {
  readonly left: string;
  readonly right: string;
}

export interface Sketch {
  readonly line: readonly Point[];
  readonly isClosed: boolean;
  readonly picked: readonly Place[];
}

interface Dimming {
  readonly cover: HTMLCanvasElement;
  /** Alpha where a number is negative; null where none is. */
  readonly negative: HTMLCanvasElement | null;
  readonly table: CellTable;
  readonly numbers: CellNumbers;
  readonly say: (value: number) => string;
}

export class Overlay {
  private readonly canvas = document.createElement("canvas");
  private readonly scratch = document.createElement("canvas");
  private dimming: Dimming | null = null;
  private key = "";
  private labels: readonly Label[] = [];
  private ends: Ends | null = null;
  private drawing: Sketch = { line: [], isClosed: false, picked: [] };

  constructor(
    layer: HTMLElement,
    private readonly map: AtlasMap,
  ) {
    this.canvas.className = "drawn";
    this.canvas.setAttribute("aria-hidden", "true");
    layer.prepend(this.canvas);
  }

  /** `key` changes with whatever else is given: the same key keeps what was made. */
  dim(key: string, lens: Lens, table: CellTable, numbers: CellNumbers, sign: Sign, gain: number): void {
    if (key === this.key && this.dimming !== null) return;
    this.key = key;
    performance.mark("actatlas-dimmed");
    const shown = lens.kind === "lights" ? rooted(numbers) : numbers;
    const say = sayerOf(lens, (value) => rounded(value, numbers));
    this.dimming = { ...dimmed(table, shown, isShare(lens) ? "both" : sign, gain), table, numbers, say };
  }

  clear(): void {
    this.key = "";
    this.dimming = null;
  }

  name(labels: readonly Label[]): void {
    this.labels = labels;
  }

  /** Says along its edges what the map's width and height mean; null where neither means anything of its own. */
  between(ends: Ends | null): void {
    this.ends = ends;
  }

  /** A line that is drawn or was, and the cells that are picked. */
  sketch(drawing: Sketch): void {
    this.drawing = drawing;
  }

  draw(): void {
    const { canvas, map } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = map.element;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    if (context === null) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!map.isOpen) return;
    const whole = map.boxOnScreen({ side: 1, column: 0, row: 0 });
    if (this.dimming !== null) this.drawDimming(context, this.dimming, whole, width, height);
    const axes = this.ends === null ? [] : drawAxes(context, this.ends, whole, width, height);
    if (this.labels.length > 0) this.drawLabels(context, whole, width, height, axes);
    this.drawSketch(context, whole);
  }

  private drawSketch(context: CanvasRenderingContext2D, whole: Square): void {
    const { line, isClosed, picked } = this.drawing;
    for (const [style, width] of [
      ["rgb(0 0 0 / 70%)", 5],
      ["#ffd24a", 2.5],
    ] as const) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.lineJoin = "round";
      context.beginPath();
      line.forEach(({ x, y }, i) => {
        const to: [number, number] = [whole.x + x * whole.size, whole.y + y * whole.size];
        if (i === 0) context.moveTo(...to);
        else context.lineTo(...to);
      });
      if (isClosed) context.closePath();
      const cell = whole.size / (picked[0]?.side ?? 1);
      for (const { column, row } of picked) context.rect(whole.x + column * cell + 1, whole.y + row * cell + 1, cell - 2, cell - 2);
      context.stroke();
    }
  }

  /** The picture on the canvas, for a copy of the view. */
  get picture(): HTMLCanvasElement {
    return this.canvas;
  }

  private drawDimming(context: CanvasRenderingContext2D, dimming: Dimming, whole: Square, width: number, height: number): void {
    const side = dimming.numbers.side;
    const cell = whole.size / side;
    const left = Math.max(Math.floor(-whole.x / cell), 0);
    const top = Math.max(Math.floor(-whole.y / cell), 0);
    const columns = Math.min(Math.ceil((width - whole.x) / cell), side) - left;
    const rows = Math.min(Math.ceil((height - whole.y) / cell), side) - top;
    if (columns <= 0 || rows <= 0) return;
    const to: Rectangle = [whole.x + left * cell, whole.y + top * cell, columns * cell, rows * cell];
    context.imageSmoothingEnabled = false;
    // The cover has one square more on each side: see `dimmed`.
    context.drawImage(dimming.cover, left, top, columns + 2, rows + 2, to[0] - cell, to[1] - cell, to[2] + 2 * cell, to[3] + 2 * cell);
    if (dimming.negative !== null) {
      context.drawImage(this.hatched(dimming.negative, [left, top, columns, rows], to, width, height), 0, 0);
    }
    if (cell >= NUMBER_CELL_PX) this.drawNumbers(context, dimming, cell, whole, width, height);
  }

  /** Stripes where the mask lets them through, in CSS pixels of the map. */
  private hatched(mask: HTMLCanvasElement, from: Rectangle, to: Rectangle, width: number, height: number): HTMLCanvasElement {
    const { scratch } = this;
    scratch.width = width;
    scratch.height = height;
    const context = scratch.getContext("2d");
    if (context === null) return scratch;
    context.imageSmoothingEnabled = false;
    context.drawImage(mask, ...from, ...to);
    context.globalCompositeOperation = "source-in";
    const stripes = context.createPattern(stripe(), "repeat");
    if (stripes !== null) {
      stripes.setTransform(new DOMMatrix([1, 0, 0, 1, to[0] % HATCH_PX, to[1] % HATCH_PX])); // they move with the map
      context.fillStyle = stripes;
      context.fillRect(0, 0, width, height);
    }
    return scratch;
  }

  private drawNumbers(context: CanvasRenderingContext2D, dimming: Dimming, cell: number, whole: Square, width: number, height: number): void {
    context.font = "600 11px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    dimming.table.value.columns.forEach((column, k) => {
      const x = whole.x + column * cell;
      const y = whole.y + (dimming.table.value.rows[k] ?? 0) * cell;
      if (x < -cell || y < -cell || x > width || y > height) return;
      const value = dimming.numbers.values[k] ?? 0;
      const text = dimming.say(value);
      const wide = context.measureText(text).width + 6;
      context.fillStyle = "rgb(20 20 22 / 72%)";
      context.fillRect(x + 2, y + cell - 17, wide, 15);
      context.fillStyle = "#fff";
      context.fillText(text, x + 5, y + cell - 6);
    });
  }

  /** In order, as far as they do not overlap, nor what is there already. */
  private drawLabels(context: CanvasRenderingContext2D, whole: Square, width: number, height: number, there: readonly Rectangle[]): void {
    const taken = [...there];
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    this.labels.forEach((label, i) => {
      const px = LABEL_PX[Math.min(Math.floor(i / 4), LABEL_PX.length - 1)] ?? 12;
      context.font = `650 ${px}px system-ui, -apple-system, "Segoe UI", sans-serif`;
      const wide = context.measureText(label.text).width;
      const x = whole.x + label.x * whole.size;
      const y = whole.y + label.y * whole.size;
      const box: Rectangle = [x - wide / 2 - LABEL_GAP_PX, y - px / 2 - LABEL_GAP_PX, wide + 2 * LABEL_GAP_PX, px + 2 * LABEL_GAP_PX];
      if (box[0] < 0 || box[1] < 0 || box[0] + box[2] > width || box[1] + box[3] > height) return;
      if (taken.some((other) => overlap(box, other))) return;
      taken.push(box);
      context.strokeStyle = "rgb(12 14 18 / 82%)";
      context.lineWidth = 4;
      context.strokeText(label.text, x, y);
      context.fillStyle = "#fff";
      context.fillText(label.text, x, y);
    });
    context.textAlign = "start";
  }
}

/** Both ends over the map's upper edge, the height at its left one; on the edge of the screen where the map's is beyond it. */
function drawAxes(context: CanvasRenderingContext2D, ends: Ends, whole: Square, width: number, height: number): Rectangle[] {
  context.font = AXIS_FONT;
  context.textBaseline = "middle";
  context.textAlign = "start";
  const left = Math.max(whole.x, 2);
  const right = Math.min(whole.x + whole.size, width - 2);
  const y = Math.max(whole.y - AXIS_PX - 2, 2);
  const wideOf = (text: string): number => context.measureText(text).width + 12;
  const plate = (text: string, x: number, top: number): Rectangle => {
    context.fillStyle = "rgb(20 20 22 / 78%)";
    context.fillRect(x, top, wideOf(text), AXIS_PX);
    context.fillStyle = "#fff";
    context.fillText(text, x + 6, top + AXIS_PX / 2 + 1);
    return [x, top, wideOf(text), AXIS_PX];
  };
  const [first, second] = fitted(ends, wideOf, right - left - 8);
  const boxes = [plate(first, left, y), plate(second, right - wideOf(second), y)];
  const middle = "both alike";
  const x = whole.x + whole.size / 2 - wideOf(middle) / 2;
  if (x > left + wideOf(first) + 8 && x + wideOf(middle) < right - wideOf(second) - 8) boxes.push(plate(middle, x, y));
  const tall = wideOf(HEIGHT);
  const low = Math.min(whole.y + whole.size, height - 2);
  const high = y + AXIS_PX + 2;
  if (low - high < tall) return boxes;
  const at = Math.max(whole.x - AXIS_PX - 2, 2);
  context.save();
  context.translate(at, (low + high + tall) / 2);
  context.rotate(-Math.PI / 2);
  plate(HEIGHT, 0, 0);
  context.restore();
  return [...boxes, [at, (low + high - tall) / 2, AXIS_PX, tall]];
}

/** The two ends with their arrows, shortened where they would meet. */
function fitted(ends: Ends, wideOf: (text: string) => number, room: number): [string, string] {
  let { left, right } = ends;
  const said = (): [string, string] => [`← ${left}`, `${right} →`];
  while (wideOf(said()[0]) + wideOf(said()[1]) > room && Math.max(left.length, right.length) > 3) {
    if (left.length > right.length) left = `${left.slice(0, -2)}…`;
    else right = `${right.slice(0, -2)}…`;
  }
  return said();
}

/** With as many digits as the largest number deserves: the small ones are noise beside it. */
function rounded(value: number, { least, most }: CellNumbers): string {
  const digits = Math.max(2 - Math.ceil(Math.log10(Math.max(-least, most, 1e-9))), 0);
  return fixed(value, Math.min(digits, 6));
}

interface Square {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

type Rectangle = [number, number, number, number];

function overlap(a: Rectangle, b: Rectangle): boolean {
  return a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
}

/**
 * One pixel a cell: the map's own ground over what says nothing, and a mask of what is negative.
 *
 * Squares without a cell, and one more on each side of the map, are covered too, where nobody sees it: a picture that is
 * drawn a pixel beyond its cell's edge shows no sliver there.
 */
function dimmed(table: CellTable, numbers: CellNumbers, sign: Sign, gain: number): { cover: HTMLCanvasElement; negative: HTMLCanvasElement | null } {
  const { side } = numbers;
  const ground = rgb(getComputedStyle(document.documentElement).getPropertyValue("--map"));
  const across = side + 2;
  const cover = pixels(across);
  cover.data.set([...ground, Math.round(255 * COVER)]);
  const words = new Uint32Array(cover.data.buffer);
  words.fill(words[0] ?? 0); // all as the first; below only opacity differs
  const mask = pixels(side);
  let hasNegative = false;
  table.value.columns.forEach((column, k) => {
    const value = strength(numbers.values[k] ?? 0, numbers, sign, gain);
    const row = table.value.rows[k] ?? 0;
    const size = Math.abs(value);
    cover.data[4 * (column + 1 + across * (row + 1)) + 3] = Math.round(255 * COVER * (1 - size) * (value < 0 ? 0.8 : 1));
    if (value < 0) {
      hasNegative = true;
      mask.data[4 * (column + side * row) + 3] = Math.round(255 * Math.min(2.5 * size * size + 0.6 * size, 1));
    }
  });
  return { cover: canvasOf(cover), negative: hasNegative ? canvasOf(mask) : null };
}

function pixels(side: number): ImageData {
  return new ImageData(side, side);
}

function canvasOf(data: ImageData): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = data.width;
  canvas.height = data.height;
  canvas.getContext("2d")?.putImageData(data, 0, 0);
  return canvas;
}

/** "#ecebe6" → its three numbers; as the style sheet writes it. */
function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.trim().slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function stripe(): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = HATCH_PX;
  const context = canvas.getContext("2d");
  if (context === null) return canvas;
  context.strokeStyle = "#c2500f";
  context.lineWidth = 2;
  for (const offset of [-HATCH_PX, 0, HATCH_PX]) {
    context.moveTo(offset, HATCH_PX);
    context.lineTo(offset + HATCH_PX, 0);
  }
  context.stroke();
  return canvas;
}
