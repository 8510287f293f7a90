// A picture to keep: maps as they are on the screen, and under each a sentence on what it shows.

export interface Captioned {
  readonly picture: HTMLCanvasElement;
  /** Where it is among the others, in CSS pixels. */
  readonly left: number;
  readonly top: number;
  readonly caption: string;
}

const PX = 13; // of letters, in CSS pixels
const LINE = 18;
const MARGIN = 8;

/** ratio: device pixels of a CSS pixel */
export function captioned(parts: readonly Captioned[], ratio: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  if (context === null) return canvas;
  const font = `${PX * ratio}px system-ui, sans-serif`;
  context.font = font;
  const measure = (text: string): number => context.measureText(text).width;
  const placed = parts.map(({ picture, left, top, caption }) => ({
    picture,
    x: Math.round(left * ratio),
    y: Math.round(top * ratio),
    lines: linesOf(caption, picture.width - 2 * MARGIN * ratio, measure),
  }));
  // Maps over one another have their sentences all below, in their order.
  const isSideBySide = new Set(placed.map(({ y }) => y)).size === 1;
  const counts = placed.map(({ lines }) => lines.length);
  const rows = isSideBySide ? Math.max(...counts, 0) : counts.reduce((sum, count) => sum + count, 0);
  const below = Math.max(...placed.map(({ y, picture }) => y + picture.height), 0);
  canvas.width = Math.max(...placed.map(({ x, picture }) => x + picture.width), 1);
  canvas.height = below + Math.round((rows * LINE + 2 * MARGIN) * ratio);
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--panel");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.getPropertyValue("--line");
  context.fillRect(0, 0, canvas.width, below); // the line between them is left of the second
  context.font = font; // a canvas of another size has forgotten it
  context.fillStyle = style.getPropertyValue("--ink");
  let row = 0;
  for (const { picture, x, y, lines } of placed) {
    context.drawImage(picture, x, y);
    lines.forEach((line, i) => context.fillText(line, x + MARGIN * ratio, below + (MARGIN + (row + i) * LINE + PX) * ratio));
    if (!isSideBySide) row += lines.length;
  }
  return canvas;
}

/** The words on lines of at most a width; a word that is wider has a line of its own. */
export function linesOf(text: string, width: number, measure: (text: string) => number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ").filter((part) => part !== "")) {
    const last = lines[lines.length - 1];
    if (last !== undefined && measure(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
