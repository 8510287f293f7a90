// What crosses the edge of the frame in a notebook that shows this page.
import type { Place } from "./places";

/** What the page tells: a cell is a square of `layer`'s grid. */
export interface Told {
  readonly address: string;
  readonly layer: string;
  readonly cell: Place | null;
  readonly picked: readonly Place[];
}

/** What crosses the frame's edge. A file's value is a picture's data: URL, or what a script hands over. */
export type FromPage = { readonly kind: "ask"; readonly path: string } | ({ readonly kind: "told" } & Told);
export type ToPage =
  | { readonly kind: "go"; readonly address: string }
  | { readonly kind: "file"; readonly path: string; readonly value?: unknown; readonly error?: string };

export const GREETING = "actatlas";
