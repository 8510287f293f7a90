// The panel about the cell that was chosen: a side panel, on small screens a sheet from below.
import { button, el, number, plural, square } from "../dom";
import type { LayerValue } from "../format";
import type { CellTable, Site } from "../site";
import type { Place } from "../state";
import type { Dispatch } from "../store";
import { attributionNote, classBars, counts, fidelity, fidelityLine, mark, patches, remarks } from "./cell";

export class Inspector {
  readonly element = el("section", { class: "inspector", testid: "inspector", "aria-label": "Cell", tabindex: "-1" });
  private shown = "";

  constructor(
    stage: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    this.element.hidden = true;
    stage.append(this.element);
  }

  hide(): void {
    this.element.hidden = true;
    this.shown = "";
  }

  show(layer: LayerValue, place: Place, table: CellTable): void {
    const key = `${layer.name}/${place.side}/${place.column},${place.row}`;
    this.element.hidden = false;
    if (key === this.shown) return;
    this.shown = key;
    const body = el("div", { class: "inspector-body" }, ...this.body(layer, place, table));
    const scroll = this.element.lastElementChild?.scrollTop ?? 0;
    this.element.replaceChildren(this.head(layer, place), body);
    body.scrollTop = scroll; // the same part of the next cell
  }

  private head(layer: LayerValue, place: Place): HTMLElement {
    return el(
      "header",
      { class: "inspector-head" },
      el(
        "div",
        {},
        el("h2", { text: `Cell ${place.column}, ${place.row}` }),
        el("p", { class: "quiet", text: `${layer.name}, ${place.side} × ${place.side}` }),
      ),
      button({ class: "plain", "aria-label": "Close", title: "Close (Esc)" }, () => this.dispatch({ type: "select", cell: null }), "✕"),
    );
  }

  private body(layer: LayerValue, place: Place, table: CellTable): HTMLElement[] {
    const cell = table.at(place.column, place.row);
    mark(this.element, layer, place, cell?.count ?? 0);
    if (cell === null) {
      return [el("p", { class: "quiet", text: "There is no cell here: too few photos answer at this place of this layer." })];
    }
    const icon = square(168, { class: "icon", role: "img", "aria-label": "painted icon" });
    this.site.drawIcon(icon, layer, place);
    const parts: HTMLElement[] = [
      el(
        "div",
        { class: "inspector-icon" },
        icon,
        el(
          "div",
          {},
          el("p", { class: "big", text: number(cell.count) }),
          el("p", { class: "quiet", text: counts(cell).replace(/^[\d,]+ /, "") }),
          fidelityLine(cell, table.length),
        ),
      ),
      el("p", { class: "note", text: fidelity(cell, table.length)[1] }),
      ...[remarks(cell)].filter((part) => part !== null),
    ];
    const real = patches(this.site, layer, cell, 96);
    if (real !== null) {
      const size = layer.patch_px === null ? "" : `, ${layer.patch_px} px of the network’s input`;
      parts.push(section("Real patches", real, `The members nearest the cell’s mean, one a photo${size}.`));
    }
    if (cell.classes.length > 0) parts.push(section("Speaks for", classBars(cell), attributionNote(layer)));
    if (cell.cohesion !== null) {
      const bar = el("span", { class: "bar" });
      bar.style.width = `${100 * Math.max(cell.cohesion, 0)}%`;
      parts.push(
        section(
          `Cohesion ${cell.cohesion.toFixed(2)}`,
          el("span", { class: "track" }, bar),
          "Mean cosine of the cell’s activations to their mean: 1 if all point the same way.",
        ),
      );
    }
    for (const column of cell.photoColumns) {
      const values = column.values.filter(([text]) => text !== "");
      if (values.length === 0) continue;
      const list = values.map(([text, count]) => el("li", {}, el("span", { text }), el("span", { class: "quiet", text: plural(count, "photo") })));
      parts.push(section(`Photos’ ${column.name}`, el("ul", { class: "values" }, ...list), ""));
    }
    return parts;
  }
}

function section(title: string, content: HTMLElement, note: string): HTMLElement {
  const parts = [el("h3", { text: title }), content];
  if (note !== "") parts.push(el("p", { class: "note", text: note }));
  return el("section", {}, ...parts);
}
