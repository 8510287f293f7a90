// The panel about the cell that was chosen: a side panel, on small screens a sheet from below.
import type { Cell, CellTable } from "../cells";
import { breakable, button, closeButton, el, fixed, number, percent, plural, track } from "../dom";
import { telling } from "../errors";
import type { LayerValue, OriginsValue, TracesValue } from "../format";
import { isFramed } from "../here";
import type { LabClient } from "../lab/client";
import { facets } from "../lab/facets";
import type { Lens } from "../lens";
import { cellIcon } from "../pictures";
import { type Place, samePlace } from "../places";
import type { Site } from "../site";
import { gridOf, layerOf } from "../state";
import type { Dispatch } from "../store";
import { allClasses } from "./all-classes";
import { attributionNote, cellButton, classBars, counts, fidelity, fidelityLine, mark, patches, pictureName, remarks } from "./cell";
import { comparedNote, comparedValues } from "./compared";
import { linkButton } from "./link";

export class Inspector {
  readonly element = el("section", { class: "inspector", testid: "inspector", "aria-label": "Cell", tabindex: "-1" });
  private shown = "";
  private table: CellTable | null = null;
  /** Another cell of the grid, to which the map is likened. */
  private likened: Place | null = null;

  constructor(
    stage: HTMLElement,
    private readonly site: Site,
    /** Who paints a cell's parts; null where nobody does. */
    private readonly client: LabClient | null,
    private readonly dispatch: Dispatch,
  ) {
    this.element.hidden = true;
    stage.append(this.element);
  }

  hide(): void {
    this.element.hidden = true;
    this.shown = "";
  }

  show(layer: LayerValue, place: Place, table: CellTable, lens: Lens | null): void {
    this.likened = lens?.kind === "like" && lens.cell.side === place.side && !samePlace(lens.cell, place) ? lens.cell : null;
    const key = JSON.stringify([layer.name, place, this.likened]);
    this.element.hidden = false;
    if (key === this.shown && table === this.table) return;
    this.shown = key;
    this.table = table;
    const body = el("div", { class: "inspector-body" }, ...this.body(layer, place, table));
    const scroll = this.element.lastElementChild?.scrollTop ?? 0;
    this.element.replaceChildren(this.head(layer, place), body);
    body.scrollTop = scroll; // the same part of the next cell
  }

  /** The earlier cells that a trace found; nothing where none was made of this cell. */
  private madeOf(layer: LayerValue, place: Place): HTMLElement {
    const holder = el("section", { testid: "made-of" });
    holder.hidden = true;
    const fill = (traces: TracesValue): void => {
      const found = traces.find((trace) => trace.layer === layer.name && trace.grid === place.side && trace.cell === `${place.column},${place.row}`);
      if (found === undefined) return;
      holder.hidden = false;
      holder.append(
        el("h3", { text: "Made of" }),
        ...found.origins.map((origins) => this.origins(origins)),
        el("p", { class: "note", text: `By one backward pass over ${plural(found.photos, "photo")}; the shares are of this cell’s answer.` }),
      );
    };
    this.site.traces().then(fill, telling(this.dispatch));
    return holder;
  }

  private origins(origins: OriginsValue): HTMLElement {
    const from = layerOf(this.site.atlas, origins.layer);
    const icons = origins.contributors.map(({ cell, contribution, photos }) => {
      const [column, row] = cell.split(",").map(Number);
      const there = { side: origins.grid, column: column ?? 0, row: row ?? 0 };
      const title = `${from.name}, cell ${cell}: ${percent(contribution)} of the answer; ${plural(photos, "photo")} pass through both`;
      const go = (): void => this.dispatch({ type: "go", layer: from.name, cell: there });
      return cellButton(from, there, { class: "follow-cell", px: 48, title }, go, percent(contribution));
    });
    const lost = `Without them ${percent(origins.lost_named)} of the answer goes, without as many others ${percent(origins.lost_random)}.`;
    return el("div", {}, breakable(from.name, { class: "quiet" }), el("div", { class: "near" }, ...icons), el("p", { class: "note", text: lost }));
  }

  private channels(layer: LayerValue, cell: Cell): HTMLElement {
    const canDim = layer.grids.some((grid) => grid.numbers.channels !== null);
    const items = cell.channels.map(({ index, score }) => {
      const text = `channel ${index}`;
      const name = canDim
        ? button({ class: "link", title: "Dim the map by this channel" }, () => this.dispatch({ type: "lens", lens: { kind: "channel", index } }), text)
        : el("span", { text });
      return el("li", {}, name, el("span", { class: "quiet", text: fixed(score, 1) }));
    });
    return el("ul", { class: "values" }, ...items);
  }

  private near(layer: LayerValue, cell: Cell): HTMLElement {
    const icons = cell.near.map(({ place, cosine }) => {
      const title = `Cell ${place.column}, ${place.row}: cosine ${fixed(cosine, 2)}`;
      return cellButton(layer, place, { class: "follow-cell", px: 48, title }, () => this.dispatch({ type: "select", cell: place }));
    });
    const holder = el("div", { class: "near" }, ...icons);
    if (gridOf(layer, cell.place.side)?.numbers.likeness) {
      const like = (minus: Place | null) => () => this.dispatch({ type: "lens", lens: { kind: "like", cell: cell.place, minus } });
      holder.append(button({ class: "wide" }, like(null), "Dim the map by likeness"));
      const other = this.likened;
      if (other !== null) holder.append(button({ class: "wide" }, like(other), `… less that to cell ${other.column}, ${other.row}`));
    }
    return holder;
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
      el(
        "div",
        { class: "head-buttons" },
        ...(isFramed ? [] : [linkButton("Link", "Copy a link to this cell", "plain")]),
        closeButton("Close", "Close (Esc)", () => this.dispatch({ type: "select", cell: null })),
      ),
    );
  }

  private body(layer: LayerValue, place: Place, table: CellTable): HTMLElement[] {
    const cell = table.at(place.column, place.row);
    mark(this.element, layer, place, cell?.count ?? 0);
    if (cell === null) {
      return [el("p", { class: "quiet", text: "There is no cell here: too few photos answer at this place of this layer." })];
    }
    const parts: HTMLElement[] = [
      el(
        "div",
        { class: "inspector-icon" },
        cellIcon(layer, place, 168, { class: "icon", role: "img", "aria-label": pictureName(this.site.atlas.pictures) }),
        el(
          "div",
          {},
          el("p", { class: "big", text: number(cell.count) }),
          el("p", { class: "quiet", text: counts(cell).replace(/^[\d,]+ /, "") }),
          fidelityLine(cell, table.length, this.site.atlas.pictures),
        ),
      ),
      el("p", { class: "note", text: fidelity(cell, table.length, this.site.atlas.pictures)[1] }),
      ...[remarks(cell)].filter((part) => part !== null),
    ];
    if (cell.compared !== null) parts.push(section("In both networks", comparedValues(this.site.atlas, cell.compared), comparedNote(cell.compared)));
    const real = patches(this.site, layer, cell, 96, 12, true);
    if (real !== null) {
      const size = layer.patch_px === null || this.site.atlas.pictures === "photos" ? "" : `, ${layer.patch_px} px of the network’s input`;
      parts.push(section("Real patches", real, `The members nearest the cell’s mean, one a photo${size}.`));
    }
    if (cell.classes.length > 0) {
      const bars = classBars(cell, (index) => this.dispatch({ type: "lens", lens: { kind: "class", index } }));
      const all = allClasses(this.site, layer, place, table.indexOf(place) ?? 0, this.dispatch);
      parts.push(section("Speaks for", el("div", {}, bars, ...[all].filter((part) => part !== null)), attributionNote(layer, cell)));
    }
    if (cell.channels.length > 0) parts.push(section("Strongest channels", this.channels(layer, cell), "Above the layer’s mean, in deviations over the cells."));
    if (cell.near.length > 0) parts.push(section("Nearest cells", this.near(layer, cell), "By the cosine of the means, less the layer’s."));
    if (gridOf(layer, place.side)?.lists_photos) {
      const lens: Lens = { kind: "photos", layer: layer.name, cell: place };
      parts.push(section("The same photos", button({ class: "wide" }, () => this.dispatch({ type: "lens", lens }), "Where do these photos go?"), "Dims the map, of every layer, by how many of this cell’s photos pass through a cell."));
    }
    if (this.client !== null) {
      parts.push(section("Facets", facets(this.client, layer, place), "Clusters of the cell’s activations: what it mixes."));
    }
    if (this.site.atlas.has.traces) parts.push(this.madeOf(layer, place));
    if (cell.cohesion !== null) {
      parts.push(
        section(
          `Cohesion ${fixed(cell.cohesion, 2)}`,
          track(Math.max(cell.cohesion, 0)),
          "Mean cosine of the cell’s activations to their mean: 1 if all point the same way.",
        ),
      );
    }
    for (const column of cell.photoColumns) {
      const values = column.values.filter(([text]) => text !== "");
      if (values.length === 0) continue;
      const isToBeDimmed = gridOf(layer, place.side)?.lists_photos === true;
      const dim = (value: string) => (): void => this.dispatch({ type: "lens", lens: { kind: "value", column: column.name, value } });
      const list = values.map(([text, count]) =>
        el("li", {}, isToBeDimmed ? button({ class: "link", title: `Where are photos of ${column.name} ${text}?` }, dim(text), text) : el("span", { text }), el("span", { class: "quiet", text: plural(count, "photo") })),
      );
      parts.push(section(`Photos’ ${column.name}`, el("ul", { class: "values" }, ...list), ""));
    }
    return parts;
  }
}

/** A button that copies the address, which is this cell's. */
function section(title: string, content: HTMLElement, note: string): HTMLElement {
  const parts = [el("h3", { text: title }), content];
  if (note !== "") parts.push(el("p", { class: "note", text: note }));
  return el("section", {}, ...parts);
}
