// The cells that were picked: what they hold together, and as files.
import type { Cell, CellTable } from "../cells";
import { button, closeButton, download, el, logit, plural } from "../dom";
import { telling } from "../errors";
import type { LayerValue } from "../format";
import type { Place } from "../places";
import { isBetween } from "../shapes";
import type { Site } from "../site";
import { type State, gridOf } from "../state";
import type { Dispatch } from "../store";

const TOP = 5;

export class Picked {
  readonly element = el("section", { class: "side picked", testid: "picked", "aria-label": "Picked cells" });
  private readonly counts = el("p", { class: "quiet" });
  private readonly classes = el("ol", { class: "values" });
  private readonly files = [button({ class: "wide" }, () => void this.save("csv"), "CSV"), button({ class: "wide" }, () => void this.save("json"), "JSON")];
  private cells: readonly Cell[] = [];
  private layer: LayerValue | null = null;
  private table: CellTable | null = null;
  private key: unknown = null;

  constructor(
    column: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    const clear = closeButton("Let all go", "Let all go", () => {
      dispatch({ type: "pick", cells: [], isMore: false });
      dispatch({ type: "tool", tool: "look" });
    });
    this.element.append(
      el("header", { class: "legend-head" }, el("div", {}, el("h2", { class: "legend-name", text: "Picked cells" }), this.counts), clear),
      this.classes,
      this.range(),
      el("div", { class: "story-buttons" }, ...this.files),
    );
    this.element.hidden = true;
    column.append(this.element);
  }

  update(state: State, layer: LayerValue, table: CellTable | null): void {
    this.element.hidden = state.picked.length === 0 && state.tool !== "box" && state.tool !== "lasso";
    this.table = table;
    if (this.element.hidden || this.key === state.picked) return;
    this.key = table === null ? null : state.picked;
    this.layer = layer;
    this.cells = state.picked.map(({ column, row }) => table?.at(column, row) ?? null).filter((cell) => cell !== null);
    for (const file of this.files) file.disabled = this.cells.length === 0;
    const activations = this.cells.reduce((sum, cell) => sum + cell.count, 0);
    this.counts.textContent = this.cells.length === 0 ? "None yet: drag over the map, click cells, or say which columns and rows." : `${plural(this.cells.length, "cell")}, ${plural(activations, "activation")}`;
    this.classes.replaceChildren(...topClasses(this.cells).map(({ name, value }) => el("li", {}, el("span", { text: name }), el("span", { class: "quiet", text: logit(value) }))));
  }

  /** Columns and rows in numbers: picking without a drag. */
  private range(): HTMLElement {
    const input = el("input", { type: "text", class: "search-input", "aria-label": "Columns and rows, such as 3-6, 10-12" });
    input.placeholder = "columns, rows: 3-6, 10-12";
    const form = el("form", { class: "range" }, input, el("button", { class: "wide", type: "submit", text: "Pick" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const found = /^\s*(\d+)(?:\s*[-–]\s*(\d+))?\s*,\s*(\d+)(?:\s*[-–]\s*(\d+))?\s*$/.exec(input.value);
      if (found === null) return this.dispatch({ type: "message", text: `“${input.value}” is no range; write columns and rows such as 3-6, 10-12.` });
      const [left, right, top, bottom] = [found[1], found[2] ?? found[1], found[3], found[4] ?? found[3]].map(Number);
      const { table } = this;
      if (table === null || left === undefined || right === undefined || top === undefined || bottom === undefined) return;
      const { side } = table.value;
      const isIn = (cell: Place): boolean => isBetween(cell, { side, column: left, row: top }, { side, column: right, row: bottom });
      const cells = table.placesWhere(isIn);
      this.dispatch({ type: "message", text: cells.length > 0 ? "" : `There is no cell in columns and rows ${input.value.trim()} of ${side} × ${side}.` });
      this.dispatch({ type: "pick", cells, isMore: true });
    });
    return form;
  }

  private async save(kind: "csv" | "json"): Promise<void> {
    const { layer, cells } = this;
    const first = cells[0];
    if (layer === null || first === undefined) return;
    const side = first.place.side;
    try {
      const photos = gridOf(layer, side)?.lists_photos ? await this.site.photos(layer, side) : null;
      const table = await this.site.cells(layer, side);
      const rows = cells.map((cell) => ({
        layer: layer.name, grid: side, column: cell.place.column, row: cell.place.row, activations: cell.count, photos: cell.photos,
        cosine: cell.cosine, rank: cell.rank, cohesion: cell.cohesion, classes: cell.classes.map(({ name, value }) => ({ name, value })),
        image_ids: photos?.[table.indexOf(cell.place) ?? -1] ?? null,
      }));
      const text = kind === "json" ? JSON.stringify(rows, null, 1) : csv(rows.map((row) => ({ ...row, classes: row.classes.map(({ name }) => name).join("; "), image_ids: row.image_ids?.join(" ") ?? "" })));
      download(new Blob([text], { type: kind === "json" ? "application/json" : "text/csv" }), `${layer.slug}-${side}-cells.${kind}`);
    } catch (error) {
      telling(this.dispatch)(error);
    }
  }
}

/** Classes by what the cells speak for them together, among the first five of each; mean over the activations. */
function topClasses(cells: readonly Cell[]): { name: string; value: number }[] {
  const sums = new Map<string, number>();
  const whole = cells.reduce((sum, cell) => sum + cell.count, 0);
  for (const cell of cells) for (const { name, value } of cell.classes) sums.set(name, (sums.get(name) ?? 0) + (value * cell.count) / whole);
  return Array.from(sums, ([name, value]) => ({ name, value }))
    .sort((a, b) => b.value - a.value)
    .slice(0, TOP);
}

function csv(rows: readonly Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const quoted = (value: unknown): string => {
    const text = String(value ?? "");
    // What a spreadsheet would take for a formula is kept as text.
    const safe = /^[=+@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return [names.join(","), ...rows.map((row) => names.map((name) => quoted(row[name])).join(","))].join("\r\n").concat("\r\n");
}

