// The parts, mounted and kept in step with the state.
import type { CellTable } from "./cells";
import { download, el, logit, number } from "./dom";
import { type Frame, makeFrame } from "./frame";
import type { KeyActions } from "./input/keyboard";
import { LabClient } from "./lab/client";
import type { Insets } from "./map/geometry";
import type { Pane } from "./pane";
import { About } from "./panels/about";
import { Card } from "./panels/card";
import { counts, fidelity } from "./panels/cell";
import { Gallery } from "./panels/gallery";
import { type HeaderAction, header, layerStrip, toolbar, updateGrids, updateLayers, updateToolbar } from "./panels/header";
import { Inspector } from "./panels/inspector";
import { LabPanel } from "./panels/lab";
import { Legend } from "./panels/legend";
import { PathStrip } from "./panels/path";
import { Picked } from "./panels/picked";
import { Search } from "./panels/search";
import { Table } from "./panels/table";
import { Tour } from "./panels/tour";
import { ViewMenu, nextEvidence } from "./panels/view";
import { Panes } from "./panes";
import type { Names } from "./search";
import { boxBetween, isBetween, isInside, squaresAlong, thinned } from "./shapes";
import type { Site } from "./site";
import { type Dialogue, type Place, type Point, type State, gridOf, layerOf, samePlace, sideForZoom } from "./state";
import type { Store } from "./store";
import { classInLink, readLink, writeLink } from "./url";

const EDGE_PX = 24;
const SAID: Record<State["evidence"], string> = {
  icons: "icons are painted, not photographed",
  patches: "real patches, the nearest to each cell’s mean",
  average: "averages of each cell’s real patches",
};
const PATH_STEP = 0.008; // of the map's side: what a hand draws is thinned to points so far apart
const MOST_POINTS = 200;

export class Page {
  readonly keys: KeyActions;
  private readonly frame: Frame;
  private readonly panes: Panes;
  private readonly legend: Legend;
  private readonly search: Search;
  private readonly view: ViewMenu;
  private readonly card: Card;
  private readonly inspector: Inspector;
  private readonly about: About;
  private readonly gallery: Gallery;
  private readonly cellTable: Table;
  private readonly tour: Tour;
  private readonly picked: Picked;
  private readonly path: PathStrip;
  private readonly tools: HTMLElement;
  private readonly lab: LabPanel;
  private readonly grids: HTMLElement;
  private readonly strip: HTMLElement;
  /** The chosen cell is still to be moved out from under the panel, once the panel has its size. */
  private isToBeShown = false;
  private names: Names | null = null;
  private isFollowing = false;
  /** The square of the map that is not worked on which the pointer is over. */
  private besideHover: Place | null = null;

  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly store: Store,
  ) {
    const { dispatch } = store;
    document.title = site.atlas.title;
    this.search = new Search(site, dispatch);
    this.view = new ViewMenu(site.atlas, dispatch);
    const top = header(site.atlas, this.search.element, this.view.element, this.actions());
    this.grids = top.querySelector<HTMLElement>(".grids") ?? top;
    this.strip = layerStrip(site.atlas, dispatch);
    const zoom = {
      zoom: (factor: number) => this.panes.lead(store.state).zoomBy(factor),
      home: () => this.panes.lead(store.state).home(),
    };
    this.tools = toolbar(dispatch);
    this.frame = makeFrame(app, top, this.strip, this.tools, zoom);
    this.panes = new Panes(this.frame.stage, this.frame.map, this.frame.minimap, site, dispatch, {
      moved: () => this.moved(),
      drawn: () => {
        document.documentElement.dataset.ready = "";
        performance.mark("actatlas-sharp");
        this.updateCells(this.store.state);
      },
      pointed: (pane, place) => this.pointed(pane, place),
      sketched: (pane, points) => this.sketched(pane, points),
      sketchEnded: (_, points, isMore) => this.sketchEnded(points, isMore),
    });
    this.tour = new Tour(this.frame.column, site, dispatch);
    this.legend = new Legend(this.frame.column, site, dispatch);
    this.picked = new Picked(this.frame.column, site, dispatch);
    this.path = new PathStrip(this.frame.stage, dispatch);
    this.gallery = new Gallery(app, site, dispatch);
    this.cellTable = new Table(app, site, dispatch);
    this.card = new Card(this.frame.stage, site);
    this.inspector = new Inspector(this.frame.stage, site, dispatch);
    const client = LabClient.ofPage();
    if (client !== null) site.lights = (photo, side) => client.lights(photo, side);
    this.lab = new LabPanel(this.frame.stage, site, client, dispatch);
    this.about = new About(app, site.atlas, dispatch);
    this.keys = {
      ...zoom,
      step: (column, row) => this.step(column, row),
      pan: (x, y) => this.panes.lead(store.state).panBy(x, y),
      layer: (by) => dispatch({ type: "step-layer", by }),
      nextGrid: () => dispatch({ type: "next-grid" }),
      close: () => dispatch(store.state.cell === null ? { type: "lens", lens: null } : { type: "select", cell: null }),
      about: () => dispatch({ type: "dialogue", dialogue: "about" }),
      find: () => this.search.focus(),
      names: () => dispatch({ type: "labels", areShown: !store.state.hasLabels }),
      compare: () => dispatch({ type: "beside", name: store.state.beside === null ? earlier(site, store.state.layer) : null }),
      cross: () => dispatch({ type: "cross", cell: null }),
      tool: (tool) => dispatch({ type: "tool", tool: store.state.tool === tool ? "look" : tool }),
      pick: () => this.pickChosen(),
      lengthen: () => this.lengthen(),
      table: () => dispatch({ type: "dialogue", dialogue: "table" }),
      gallery: () => site.atlas.has.confusions && dispatch({ type: "dialogue", dialogue: "gallery" }),
      nextEvidence: () => dispatch({ type: "evidence", evidence: nextEvidence(store.state.evidence) }),
      tour: (by) => this.tour.step(store.state.stop, by),
      lab: () => dispatch({ type: "lab", isOpen: !store.state.isLabOpen }),
    };
  }

  private actions(): HeaderAction[] {
    const { site, store } = this;
    const { dispatch } = store;
    const open = (dialogue: Dialogue) => () => dispatch({ type: "dialogue", dialogue });
    const actions: HeaderAction[] = [];
    if (site.atlas.has.tour) actions.push(["tour", "Tour", "A tour through this atlas (.)", () => this.tour.step(null, 1)]);
    if (site.atlas.has.confusions) actions.push(["gallery", "Misunderstandings", "What the network takes for something else (m)", open("gallery")]);
    if (site.atlas.layers.length > 1) actions.push(["compare", "Compare", "Two layers side by side (c)", () => this.keys.compare()]);
    actions.push(["lab", "Lab", "Ask the network: patches on photos, better icons, which cells a photo lights up (a)", () => this.keys.lab()]);
    actions.push(["table", "Table", "All cells as a table (t)", open("table")]);
    actions.push(["picture", "Picture", "Save what is on the map as a PNG", () => this.savePicture()]);
    actions.push(["about", "About", "About this atlas (?)", open("about")]);
    return actions;
  }

  start(): void {
    this.store.subscribe((state, before) => this.update(state, before));
    this.update(this.store.state, null);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.panes.repaint(this.store.state);
    });
  }

  /** Go where the address says. */
  async follow(hash: string): Promise<void> {
    if (classInLink(hash) !== null) await this.loadNames();
    this.isFollowing = true; // the address is where it comes from: no step of its own
    this.store.dispatch({ type: "link", link: readLink(hash, this.names) });
    this.isFollowing = false;
  }

  private async loadNames(): Promise<void> {
    try {
      this.names = await this.site.names();
    } catch (error) {
      this.store.dispatch({ type: "message", text: error instanceof Error ? error.message : String(error) });
    }
  }

  private update(state: State, before: State | null): void {
    const { atlas } = this.site;
    updateLayers(this.strip, state, before);
    updateGrids(this.grids, atlas, state, this.store.dispatch);
    updateToolbar(this.tools, state);
    this.writeAddress(state, before);
    this.about.update(state.dialogue === "about");
    this.gallery.update(state.dialogue === "gallery");
    this.cellTable.keep(state);
    this.cellTable.update(state.dialogue === "table");
    this.tour.update(state);
    this.lab.update(state);
    this.search.update(state);
    this.view.update(state);
    this.panes.update(state, before);
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
    const isStep = before !== null && !this.isFollowing && writeLink({ ...state, view: before.view }, this.names, window.location.hash) !== window.location.hash;
    if (isStep) window.history.pushState(null, "", link);
    else window.history.replaceState(null, "", link);
  }

  /** Card, inspector, rings and status line, from the state and from what has been fetched. */
  private updateCells(state: State): void {
    const layer = layerOf(this.site.atlas, state.layer);
    this.updateCard(state);
    this.updateInspector(state);
    const numbers = state.lens === null ? null : this.site.peekNumbers(layer, state.shown, state.lens);
    this.legend.update(state, layer, numbers);
    const table = this.site.peek(layer, state.shown);
    this.picked.update(state, layer, table);
    this.path.update(state, layer, table);
    this.updateStatus(state);
  }

  private updateCard(state: State): void {
    const other = this.panes.other(state);
    const [pane, place] = this.besideHover !== null && other !== null ? [other, this.besideHover] : [this.panes.active(state), state.hover];
    const layer = pane.shown?.layer;
    const table = layer === undefined || place === null ? null : this.site.peek(layer, place.side);
    const cell = place === null ? null : (table?.at(place.column, place.row) ?? null);
    if (cell === null || table === null || layer === undefined) this.card.hide();
    else this.card.show(layer, cell, table.length);
    this.placeOverlays(pane, cell?.place ?? null);
  }

  private updateInspector(state: State): void {
    document.documentElement.classList.toggle("has-inspector", state.cell !== null);
    if (state.cell === null) {
      this.frame.spoken.textContent = "";
      return this.inspector.hide();
    }
    const layer = layerOf(this.site.atlas, state.layer);
    const table = this.site.peek(layer, state.cell.side);
    if (table === null) {
      const failed = (error: Error) => this.store.dispatch({ type: "message", text: error.message });
      this.site.cells(layer, state.cell.side).then(() => this.updateCells(this.store.state), failed);
      return;
    }
    this.inspector.show(layer, state.cell, table);
    this.frame.spoken.textContent = this.sentence(state.cell, table);
    if (this.isToBeShown && this.panes.active(state).map.isOpen) {
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
      status.replaceChildren(place, `${number(grid.cells)} cells${painted} · ${SAID[grid.view_px === null ? "icons" : state.evidence]}`);
    }
  }

  private sketched(pane: Pane, points: readonly Point[]): void {
    const { tool, path, picked } = this.store.state;
    const first = points[0];
    const last = points[points.length - 1];
    const line = tool === "box" && first !== undefined && last !== undefined ? boxBetween(first, last) : tool === "path" ? [...path, ...points] : points;
    pane.sketch({ line, isClosed: tool !== "path", picked });
    pane.draw();
  }

  /** A drag has drawn something, or a click has hit one point. */
  private sketchEnded(points: readonly Point[], isMore: boolean): void {
    const { state, dispatch } = this.store;
    const table = this.site.peek(layerOf(this.site.atlas, state.layer), state.shown);
    const [first] = points;
    if (first === undefined || table === null) return;
    if (state.tool === "path") {
      const path = points.length === 1 ? [...state.path, first] : thinned(points, PATH_STEP);
      return dispatch({ type: "path", path: path.slice(-MOST_POINTS) });
    }
    const place = squaresAlong([first], state.shown)[0];
    if (points.length === 1) {
      if (place !== undefined && table.has(place.column, place.row)) this.toggle(place);
      return;
    }
    const far = squaresAlong([points[points.length - 1] ?? first], state.shown)[0];
    if (place === undefined || far === undefined) return;
    const isIn = state.tool === "box" ? (cell: Place) => isBetween(cell, place, far) : (cell: Place) => isInside(cell, points);
    dispatch({ type: "pick", cells: table.placesWhere(isIn), isMore });
  }

  private toggle(place: Place): void {
    const { state, dispatch } = this.store;
    const isPicked = state.picked.some((cell) => samePlace(cell, place));
    if (isPicked) dispatch({ type: "pick", cells: state.picked.filter((cell) => !samePlace(cell, place)), isMore: false });
    else dispatch({ type: "pick", cells: [place], isMore: true });
  }

  private pickChosen(): void {
    const { cell } = this.store.state;
    if (cell !== null) this.toggle(cell);
  }

  private lengthen(): void {
    const { cell, path } = this.store.state;
    if (cell === null) return;
    const middle = { x: (cell.column + 0.5) / cell.side, y: (cell.row + 0.5) / cell.side };
    this.store.dispatch({ type: "path", path: [...path, middle].slice(-MOST_POINTS) });
  }

  private savePicture(): void {
    const { state, dispatch } = this.store;
    const tell = (text: string): void => dispatch({ type: "message", text });
    try {
      this.panes.active(state).picture().toBlob((data) => {
        if (data !== null) download(data, `${layerOf(this.site.atlas, state.layer).slug}.png`);
      });
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      tell("A page from a double click may not copy its pictures; open it with actatlas view, or from a web server.");
    }
  }

  private placeOverlays(pane: Pane, hovered: Place | null): void {
    const { state } = this.store;
    this.panes.mark(this.panes.active(state), pane === this.panes.active(state) ? hovered : null, state.cell);
    if (pane !== this.panes.active(state)) pane.mark(hovered, null);
    if (hovered === null) return;
    const box = pane.map.boxOnScreen(hovered);
    this.card.put(pane.element.offsetLeft + box.x, box.y, box.size);
  }

  /** The view moved: the pointer is over another cell, and what is laid over the map goes along. */
  private moved(): void {
    const { state, dispatch } = this.store;
    if (state.grid === "auto") {
      const sides = layerOf(this.site.atlas, state.layer).grids.map((grid) => grid.side);
      const side = sideForZoom(sides, this.panes.active(state).map.mapPx(), state.shown);
      if (side !== state.shown) dispatch({ type: "zoomed", side });
    }
    this.updateCard(this.store.state);
  }

  private pointed(pane: Pane, place: Place | null): void {
    const { state, dispatch } = this.store;
    if (pane === this.panes.active(state)) {
      if (place !== null) this.besideHover = null;
      dispatch({ type: "hover", cell: place });
    } else {
      this.besideHover = place;
      this.updateCard(state);
    }
  }

  /** The nearest cell in a direction: straight on if there is one, else the nearest beyond. */
  private step(column: -1 | 0 | 1, row: -1 | 0 | 1): void {
    const { cell, shown, layer } = this.store.state;
    const table = this.site.peek(layerOf(this.site.atlas, layer), shown);
    if (table === null) return;
    if (cell === null || cell.side !== shown) {
      const middle = cell === null ? this.panes.active(this.store.state).map.centre() : { x: (cell.column + 0.5) / cell.side, y: (cell.row + 0.5) / cell.side };
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
    this.panes.lead(this.store.state).bringIntoView(place, insets);
  }
}

/** The layer before one, or after the first: what it is compared with at first. */
function earlier(site: Site, name: string): string {
  const layers = site.atlas.layers.filter((layer) => layer.grids.length > 0);
  const at = layers.findIndex((layer) => layer.name === name);
  return (layers[at - 1] ?? layers[at + 1] ?? layers[at])?.name ?? name;
}
