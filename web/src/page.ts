// The parts, mounted and kept in step with the state.
import { Pointer } from "./input/pointer";
import type { KeyActions } from "./input/keyboard";
import type { Insets } from "./map/geometry";
import { AtlasMap } from "./map/map";
import { type Label, Overlay } from "./map/overlay";
import { Rings } from "./map/rings";
import { el, logit, number } from "./dom";
import { type Frame, makeFrame } from "./frame";
import { About } from "./panels/about";
import { Card } from "./panels/card";
import { Inspector } from "./panels/inspector";
import { counts, fidelity } from "./panels/cell";
import { Legend } from "./panels/legend";
import { Search } from "./panels/search";
import { header, layerStrip, updateGrids, updateLayers } from "./panels/header";
import type { Names } from "./search";
import type { CellTable, Site } from "./site";
import { type Place, type State, gridOf, layerOf, sideForZoom } from "./state";
import type { Store } from "./store";
import { classInLink, readLink, writeLink } from "./url";

const EDGE_PX = 24;

export class Page {
  readonly keys: KeyActions;
  private readonly frame: Frame;
  private readonly map: AtlasMap;
  private readonly rings: Rings;
  private readonly overlay: Overlay;
  private readonly legend: Legend;
  private readonly search: Search;
  private readonly card: Card;
  private readonly inspector: Inspector;
  private readonly about: About;
  private readonly pointer: Pointer;
  private readonly grids: HTMLElement;
  private readonly strip: HTMLElement;
  /** The chosen cell is still to be moved out from under the panel, once the panel has its size. */
  private isToBeShown = false;
  private names: Names | null = null;

  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly store: Store,
  ) {
    const { dispatch } = store;
    document.title = site.atlas.title;
    this.search = new Search(site, dispatch);
    const top = header(site.atlas, this.search.element, dispatch);
    this.grids = top.querySelector<HTMLElement>(".grids") ?? top;
    this.strip = layerStrip(site.atlas, dispatch);
    const zoom = { zoom: (factor: number) => this.map.zoomBy(factor), home: () => this.map.home() };
    this.frame = makeFrame(app, top, this.strip, zoom);
    this.map = new AtlasMap(this.frame.map, this.frame.minimap, {
      moved: () => this.moved(),
      settled: () => dispatch({ type: "looked", view: this.map.view() }),
      clicked: (at) => this.clicked(at),
      drawn: () => {
        document.documentElement.dataset.ready = "";
        this.updateCells(this.store.state);
      },
      failed: (text) => dispatch({ type: "message", text }),
    });
    this.rings = new Rings(this.frame.overlay, this.map);
    this.overlay = new Overlay(this.frame.overlay, this.map);
    this.legend = new Legend(this.frame.stage, site, dispatch);
    this.card = new Card(this.frame.stage, site);
    this.inspector = new Inspector(this.frame.stage, site, dispatch);
    this.about = new About(app, site.atlas, dispatch);
    this.pointer = new Pointer(this.frame.map, () => this.point());
    this.keys = {
      ...zoom,
      step: (column, row) => this.step(column, row),
      pan: (x, y) => this.map.panBy(x, y),
      layer: (by) => dispatch({ type: "step-layer", by }),
      nextGrid: () => dispatch({ type: "next-grid" }),
      close: () => dispatch(this.store.state.cell === null ? { type: "lens", lens: null } : { type: "select", cell: null }),
      about: () => dispatch({ type: "dialogue", dialogue: "about" }),
      find: () => this.search.focus(),
      names: () => dispatch({ type: "labels", areShown: !this.store.state.hasLabels }),
    };
  }

  start(): void {
    this.store.subscribe((state, before) => this.update(state, before));
    this.update(this.store.state, null);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.overlay.clear(); // its ground is the theme's
      this.updateLens(this.store.state);
      this.overlay.draw();
    });
  }

  /** Go where the address says. */
  async follow(hash: string): Promise<void> {
    if (classInLink(hash) !== null) await this.loadNames();
    this.store.dispatch({ type: "link", link: readLink(hash, this.names) });
  }

  private async loadNames(): Promise<void> {
    try {
      this.names = await this.site.names();
    } catch (error) {
      this.store.dispatch({ type: "message", text: error instanceof Error ? error.message : String(error) });
    }
  }

  private get table(): CellTable | null {
    const { layer, shown } = this.store.state;
    return this.site.peek(layerOf(this.site.atlas, layer), shown);
  }

  private update(state: State, before: State | null): void {
    const { atlas } = this.site;
    updateLayers(this.strip, state, before);
    updateGrids(this.grids, atlas, state, this.store.dispatch);
    if (before === null || state.layer !== before.layer || state.shown !== before.shown) this.changeGrid(state);
    if (state.goal !== null && state.goal !== before?.goal) this.map.look(state.goal.view, before === null);
    this.writeAddress(state, before);
    this.about.update(state.dialogue === "about");
    this.search.update(state);
    this.updateLens(state);
    this.overlay.name(state.hasLabels && state.lens === null ? labelsOf(this.site, state.layer) : []); // beside numbers they are too much
    this.overlay.draw();
    if (state.cell !== before?.cell) this.isToBeShown = state.cell !== null;
    this.updateCells(state);
  }

  /** Where one looks is no step to go back to; everything else is. */
  private writeAddress(state: State, before: State | null): void {
    if (state.lens?.kind === "class" && this.names === null) {
      void this.loadNames().then(() => this.names !== null && this.writeAddress(this.store.state, before));
      return;
    }
    const link = writeLink(state, this.names, window.location.hash);
    if (link === window.location.hash) return;
    const isStep = before !== null && writeLink({ ...state, view: before.view }, this.names, window.location.hash) !== window.location.hash;
    if (isStep) window.history.pushState(null, "", link);
    else window.history.replaceState(null, "", link);
  }

  /** Dim the map as soon as the numbers are here. */
  private updateLens(state: State): void {
    const layer = layerOf(this.site.atlas, state.layer);
    const { lens } = state;
    const numbers = lens === null ? null : this.site.peekNumbers(layer, state.shown, lens);
    const table = numbers === null ? null : this.site.peek(layer, numbers.side);
    if (lens !== null && numbers !== null && table !== null) {
      const key = JSON.stringify([lens, state.layer, numbers.side, state.sign, state.gain]);
      this.overlay.dim(key, lens, table, numbers, state.sign, state.gain);
    } else this.overlay.clear();
    if (lens !== null && table === null) {
      this.site
        .lensNumbers(layer, state.shown, lens)
        .then((found) => this.site.cells(layer, found.side))
        .then(
          () => {
            if (this.store.state.lens !== lens) return;
            this.updateLens(this.store.state);
            this.overlay.draw();
          },
          (error: Error) => {
            this.store.dispatch({ type: "lens", lens: null });
            this.store.dispatch({ type: "message", text: error.message });
          },
        );
    }
    this.legend.update(state, layer, numbers);
  }

  private changeGrid(state: State): void {
    const layer = layerOf(this.site.atlas, state.layer);
    const grid = gridOf(layer, state.shown);
    delete document.documentElement.dataset.ready;
    if (grid === null) return;
    this.map.show(layer, grid);
    this.load(state.layer, state.shown);
  }

  /** Fetch a grid's cells, and show them if they are still wanted. */
  private load(name: string, side: number): void {
    this.site.cells(layerOf(this.site.atlas, name), side).then(
      () => {
        this.point();
        this.updateCells(this.store.state);
      },
      (error: Error) => this.store.dispatch({ type: "message", text: error.message }),
    );
  }

  /** Card, inspector, rings and status line, from the state and from what has been fetched. */
  private updateCells(state: State): void {
    const layer = layerOf(this.site.atlas, state.layer);
    const hovered = state.hover === null ? null : (this.table?.at(state.hover.column, state.hover.row) ?? null);
    if (hovered === null || this.table === null) this.card.hide();
    else this.card.show(layer, hovered, this.table.length);
    this.updateInspector(state);
    this.placeOverlays(state, hovered?.place ?? null);
    this.updateStatus(state);
  }

  private updateInspector(state: State): void {
    document.documentElement.classList.toggle("has-inspector", state.cell !== null);
    if (state.cell === null) {
      this.frame.spoken.textContent = "";
      return this.inspector.hide();
    }
    const layer = layerOf(this.site.atlas, state.layer);
    const table = this.site.peek(layer, state.cell.side);
    if (table === null) return this.load(state.layer, state.cell.side);
    this.inspector.show(layer, state.cell, table);
    this.frame.spoken.textContent = this.sentence(state.cell, table);
    if (this.isToBeShown && this.map.isOpen) {
      this.isToBeShown = false;
      this.bringIntoView(state.cell);
    }
  }

  private sentence(place: Place, table: CellTable): string {
    const cell = table.at(place.column, place.row);
    if (cell === null) return `No cell at ${place.column}, ${place.row}.`;
    const classes = cell.classes.slice(0, 2).map((entry) => `${entry.name} ${logit(entry.value)}`);
    return `Cell ${place.column}, ${place.row} of ${place.side}: ${counts(cell)}; ${[...classes, fidelity(cell, table.length)[0]].join(", ")}.`;
  }

  private updateStatus(state: State): void {
    const { status } = this.frame;
    const grid = gridOf(layerOf(this.site.atlas, state.layer), state.shown);
    status.classList.toggle("is-problem", state.message !== "");
    if (state.message !== "") status.textContent = state.message;
    else if (grid === null) status.textContent = `${state.layer} has no grid yet.`;
    else {
      const painted = grid.painted < grid.cells ? `, ${number(grid.painted)} painted so far` : "";
      const place = el("span", { class: "status-place", text: `${state.layer} · ${grid.side} × ${grid.side} · ` });
      status.replaceChildren(place, `${number(grid.cells)} cells${painted} · icons are painted, not photographed`);
    }
  }

  private placeOverlays(state: State, hovered: Place | null): void {
    this.rings.place(hovered, state.cell);
    if (hovered !== null) {
      const box = this.map.boxOnScreen(hovered);
      this.card.put(box.x, box.y, box.size);
    }
  }

  /** The view moved: the pointer is over another cell, and what is laid over the map goes along. */
  private moved(): void {
    const { state, dispatch } = this.store;
    if (state.grid === "auto") {
      const sides = layerOf(this.site.atlas, state.layer).grids.map((grid) => grid.side);
      const side = sideForZoom(sides, this.map.mapPx(), state.shown);
      if (side !== state.shown) dispatch({ type: "zoomed", side });
    }
    this.point();
    this.overlay.draw();
    this.placeOverlays(this.store.state, this.card.isShown ? this.store.state.hover : null);
  }

  private point(): void {
    const { at } = this.pointer;
    const place = at === null ? null : this.map.placeAt(at.x, at.y, this.store.state.shown);
    this.store.dispatch({ type: "hover", cell: place });
  }

  private clicked(at: { readonly x: number; readonly y: number }): void {
    const place = this.map.placeAt(at.x, at.y, this.store.state.shown);
    const isCell = place !== null && (this.table?.has(place.column, place.row) ?? false);
    this.store.dispatch({ type: "select", cell: isCell ? place : null });
  }

  /** The nearest cell in a direction: straight on if there is one, else the nearest beyond. */
  private step(column: -1 | 0 | 1, row: -1 | 0 | 1): void {
    const { table } = this;
    const { cell, shown } = this.store.state;
    if (table === null) return;
    if (cell === null || cell.side !== shown) {
      const middle = cell === null ? this.map.centre() : { x: (cell.column + 0.5) / cell.side, y: (cell.row + 0.5) / cell.side };
      const start = table.nearest(middle.x * shown - 0.5, middle.y * shown - 0.5, () => true);
      return this.store.dispatch({ type: "select", cell: start });
    }
    const next = table.nearest(cell.column, cell.row, (c, r) => {
      const along = (c - cell.column) * column + (r - cell.row) * row;
      const aside = Math.abs((c - cell.column) * row) + Math.abs((r - cell.row) * column);
      return along > 0 && aside <= along;
    });
    if (next !== null) this.store.dispatch({ type: "select", cell: next });
  }

  private bringIntoView(place: Place): void {
    const panel = this.inspector.element.getBoundingClientRect();
    const stage = this.frame.stage.getBoundingClientRect();
    const isSheet = panel.width > stage.width * 0.9;
    const insets: Insets = {
      top: EDGE_PX,
      left: EDGE_PX,
      right: isSheet || panel.width === 0 ? EDGE_PX : stage.right - panel.left + EDGE_PX,
      bottom: isSheet ? stage.bottom - panel.top + EDGE_PX : EDGE_PX,
    };
    this.map.bringIntoView(place, insets);
  }
}

/** The regions' names, each of its clearest classes. */
function labelsOf(site: Site, name: string): Label[] {
  return layerOf(site.atlas, name).regions.map(({ x, y, classes }) => ({ x, y, text: classes.slice(0, 2).map((index) => site.className(index)).join(", ") }));
}
