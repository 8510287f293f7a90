// All cells of the grid on the map as a table: what the map shows, for those who do not see it, and to be sorted.
import type { Cell, CellTable } from "../cells";
import { button, el, logit, number, plural } from "../dom";
import { type Place, samePlace } from "../places";
import { plain } from "../search";
import type { Site } from "../site";
import { type State, layerOf } from "../state";
import type { Dispatch } from "../store";
import { Dialogue } from "./dialogue";

const ROWS = 100;

interface Column {
  readonly title: string;
  readonly of: (cell: Cell) => string | number | null;
  readonly show: (cell: Cell) => string;
}

const COLUMNS: readonly Column[] = [
  { title: "Cell", of: (cell) => cell.place.row * 1000 + cell.place.column, show: (cell) => `${cell.place.column}, ${cell.place.row}` },
  { title: "Activations", of: (cell) => cell.count, show: (cell) => number(cell.count) },
  { title: "Photos", of: (cell) => cell.photos, show: (cell) => number(cell.photos) },
  { title: "Speaks for", of: (cell) => cell.classes[0]?.name ?? "", show: (cell) => cell.classes.slice(0, 3).map((entry) => entry.name).join(", ") },
  { title: "Most, in logits", of: (cell) => cell.classes[0]?.value ?? null, show: (cell) => (cell.classes[0] === undefined ? "" : logit(cell.classes[0].value)) },
  { title: "Icon’s cosine", of: (cell) => cell.cosine, show: (cell) => cell.cosine?.toFixed(2) ?? "not painted" },
  { title: "Cells nearer", of: (cell) => cell.rank, show: (cell) => (cell.rank === null ? "" : number(cell.rank)) },
  { title: "Cohesion", of: (cell) => cell.cohesion, show: (cell) => cell.cohesion?.toFixed(2) ?? "" },
];

export class Table extends Dialogue {
  private state: State | null = null;
  private sorted = { column: 0, isDown: false };
  private first = 0;
  private readonly filter = el("input", { type: "text", class: "search-input", "aria-label": "Only cells that speak for" });
  private readonly holder = el("div", { class: "table-holder" });

  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly send: Dispatch,
  ) {
    super(app, { name: "Cells", testid: "table", class: "table" }, send);
    this.filter.placeholder = "Only cells that speak for …";
    this.filter.addEventListener("input", () => {
      this.first = 0;
      this.draw();
    });
    this.body.append(this.filter, this.holder);
  }

  keep(state: State): void {
    const isOther = this.state !== null && state.picked !== this.state.picked;
    this.state = state;
    if (isOther && state.dialogue === "table") this.draw();
  }

  protected override fill(): void {
    this.first = 0;
    this.draw();
  }

  private draw(): void {
    const { state } = this;
    const table = state === null ? null : this.site.peek(layerOf(this.site.atlas, state.layer), state.shown);
    if (state === null || table === null) return this.holder.replaceChildren(el("p", { text: "The cells are still being read." }));
    const cells = this.chosen(table);
    const shown = cells.slice(this.first, this.first + ROWS);
    const caption = el("caption", { text: `${state.layer}, ${state.shown} × ${state.shown}: ${plural(cells.length, "cell")}` });
    const head = el("tr", {}, el("th", { text: "Picked" }), ...COLUMNS.map((column, i) => this.title(column, i)));
    this.holder.replaceChildren(
      el("table", {}, caption, el("thead", {}, head), el("tbody", {}, ...shown.map((cell) => this.row(cell, state)))),
      this.pages(cells.length),
    );
  }

  private chosen(table: CellTable): Cell[] {
    const wanted = plain(this.filter.value);
    const cells = table.cells().filter((cell) => wanted === "" || cell.classes.some((entry) => plain(entry.name).includes(wanted)));
    const { column, isDown } = this.sorted;
    const of = COLUMNS[column]?.of ?? (() => 0);
    const order = (a: Cell, b: Cell): number => {
      const [x, y] = [of(a), of(b)];
      if (x === null || y === null) return Number(x === null) - Number(y === null);
      return typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y), "en") : x - y;
    };
    return cells.sort((a, b) => (isDown ? order(b, a) : order(a, b)));
  }

  private title(column: Column, i: number): HTMLElement {
    const isSorted = this.sorted.column === i;
    const arrow = isSorted ? (this.sorted.isDown ? " ↓" : " ↑") : "";
    const sort = button({ class: "link" }, () => {
      this.sorted = { column: i, isDown: isSorted ? !this.sorted.isDown : i > 0 && i !== 3 };
      this.first = 0;
      this.draw();
    }, column.title + arrow);
    const head = el("th", {}, sort);
    head.scope = "col";
    head.setAttribute("aria-sort", isSorted ? (this.sorted.isDown ? "descending" : "ascending") : "none");
    return head;
  }

  private row(cell: Cell, state: State): HTMLElement {
    const { place } = cell;
    const pick = el("input", { type: "checkbox", "aria-label": `Pick cell ${place.column}, ${place.row}` });
    pick.checked = state.picked.some((other) => samePlace(other, place));
    pick.addEventListener("change", () => this.pick(place, pick.checked));
    const show = button({ class: "link", title: "Show it on the map" }, () => {
      this.send({ type: "dialogue", dialogue: null });
      this.send({ type: "select", cell: place });
    }, COLUMNS[0]?.show(cell) ?? "");
    return el("tr", {}, el("td", {}, pick), el("td", {}, show), ...COLUMNS.slice(1).map((column) => el("td", { text: column.show(cell) })));
  }

  private pick(place: Place, isPicked: boolean): void {
    const others = (this.state?.picked ?? []).filter((other) => !samePlace(other, place));
    this.send({ type: "pick", cells: isPicked ? [...others, place] : others, isMore: false });
  }

  private pages(count: number): HTMLElement {
    const turn = (by: number) => () => {
      this.first += by;
      this.draw();
      this.body.scrollTop = 0;
    };
    const back = button({ class: "wide" }, turn(-ROWS), "Before");
    const on = button({ class: "wide" }, turn(ROWS), "After");
    back.disabled = this.first === 0;
    on.disabled = this.first + ROWS >= count;
    const text = count === 0 ? "" : `${number(this.first + 1)} to ${number(Math.min(this.first + ROWS, count))} of ${number(count)}`;
    return el("nav", { class: "pages", "aria-label": "Rows" }, back, el("span", { class: "quiet", text }), on);
  }
}
