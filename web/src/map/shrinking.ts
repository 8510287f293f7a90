// Icons as large as their cells are full: each tile is drawn anew, once, with its icons shrunk. Pure but for the canvas.

/** side × side numbers in (0, 1], row-major: how much of its square an icon fills. */
export interface Sizes {
  readonly side: number;
  readonly of: Float32Array;
}

/** Where a tile lies: its column and row among the tiles of its level, and how many pixels a cell has there. */
export interface TilePlace {
  readonly column: number;
  readonly row: number;
  readonly tilePx: number;
  readonly cellPx: number;
}

const LEAST_CELL_PX = 3;
const LEAST_SIZE = 0.25;

/** By the square root of the number of activations, so that an icon's area says how many; `share` 0 leaves all whole. */
export function sizesOf(side: number, cells: readonly { readonly column: number; readonly row: number; readonly count: number }[], share: number): Sizes {
  const counts = cells.map((cell) => cell.count).sort((a, b) => a - b);
  const many = counts[Math.floor(0.95 * (counts.length - 1))] ?? 1; // a few cells may hold far more than the rest
  const of = new Float32Array(side * side).fill(1);
  for (const { column, row, count } of cells) {
    of[row * side + column] = 1 - share + share * Math.min(Math.max(Math.sqrt(count / many), LEAST_SIZE), 1);
  }
  return { side, of };
}

/** The tile with its icons shrunk; null where its cells are too small to be told apart. */
export function shrunk(source: HTMLCanvasElement, place: TilePlace, sizes: Sizes): CanvasRenderingContext2D | null {
  if (place.cellPx < LEAST_CELL_PX) return null;
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  const { cellPx, tilePx } = place;
  const first = { column: Math.round((place.column * tilePx) / cellPx), row: Math.round((place.row * tilePx) / cellPx) };
  for (let row = first.row; (row - first.row) * cellPx < source.height && row < sizes.side; row += 1) {
    for (let column = first.column; (column - first.column) * cellPx < source.width && column < sizes.side; column += 1) {
      const size = (sizes.of[row * sizes.side + column] ?? 1) * cellPx;
      const [x, y] = [(column - first.column) * cellPx, (row - first.row) * cellPx];
      const off = (cellPx - size) / 2;
      context.drawImage(source, x, y, cellPx, cellPx, x + off, y + off, size, size);
    }
  }
  return context;
}
