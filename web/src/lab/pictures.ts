// Pictures as the lab sends them, and patches that can be chosen. Decoded here, so that the page's policy need not allow data addresses.
import type { Cell } from "../cells";
import { square } from "../dom";
import type { LabPatch, LayerValue } from "../format";
import { drawIcon, drawPatch } from "../pictures";

const MOST_A_CELL = 12;

export interface PatchChoice {
  readonly ask: LabPatch;
  readonly name: string;
  /** Width over height. */
  readonly aspect: number;
  /** Over the whole canvas, now or soon. */
  draw(canvas: HTMLCanvasElement): void;
}

/** A JPEG or PNG in base64. */
export function decoded(base64: string): Promise<ImageBitmap> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes]));
}

export function draw(canvas: HTMLCanvasElement, picture: ImageBitmap): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.imageSmoothingQuality = "high";
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** A square canvas that the picture fills, its shape kept. */
export async function thumbnail(base64: string, css: number, label: string): Promise<HTMLCanvasElement> {
  const picture = await decoded(base64);
  const canvas = square(css, { role: "img", "aria-label": label });
  const scale = canvas.width / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const context = canvas.getContext("2d");
  if (context !== null) {
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  }
  return canvas;
}

export function ofPicture(ask: LabPatch, name: string, picture: ImageBitmap): PatchChoice {
  return { ask, name, aspect: picture.width / picture.height, draw: (canvas) => draw(canvas, picture) };
}

/** What a cell offers: its icon, and its real patches where the site has them. */
export function ofCell(layer: LayerValue, { place, patches, photos }: Cell): PatchChoice[] {
  const { side, column, row } = place;
  const cell = { layer: layer.name, side, column, row };
  const icon: PatchChoice = {
    ask: { cell, icon: true }, name: "icon", aspect: 1, draw: (canvas) => drawIcon(canvas, layer, place),
  };
  // The server counts all of a cell's patches; where the site has left some out, only the first is surely the same.
  const isWhole = patches.length === Math.min(MOST_A_CELL, photos);
  const real = patches.slice(0, isWhole ? patches.length : 1).map((patch, i): PatchChoice => ({
    ask: { cell, example: i }, name: `real patch ${i + 1}`, aspect: 1, draw: (canvas) => drawPatch(canvas, layer, patch),
  }));
  return [icon, ...real];
}
