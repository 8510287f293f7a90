// The parts, mounted and kept in step with the state.
import { Address } from "./address";
import { download } from "./dom";
import { telling } from "./errors";
import { type Frame, makeFrame } from "./frame";
import { isFramed } from "./here";
import type { KeyActions } from "./input/keyboard";
import { LabClient } from "./lab/client";
import type { Insets } from "./map/geometry";
import type { Pane } from "./pane";
import { About } from "./panels/about";
import { Card } from "./panels/card";
import { sentence } from "./panels/cell";
import { Gallery } from "./panels/gallery";
import { Projections } from "./panels/projections";
import { type HeaderAction, header, layerStrip, toolbar, updateGrids, updateLayers, updateSizes, updateThumbnails, updateToolbar } from "./panels/header";
import { Inspector } from "./panels/inspector";
import { LabPanel } from "./panels/lab";
import { Legend } from "./panels/legend";
import { PathStrip } from "./panels/path";
import { Picked } from "./panels/picked";
import { Search } from "./panels/search";
import { updateStatus } from "./panels/status";
import { Table } from "./panels/table";
import { Tour } from "./panels/tour";
import { ViewMenu, nextEvidence } from "./panels/view";
import { Panes } from "./panes";
import { type Place, middleOf } from "./places";
import type { Site } from "./site";
import { type Dialogue, type State, isHoverAlone, layerOf, sideForZoom } from "./state";
import type { Store } from "./store";
import { Tools } from "./tools";

const EDGE_PX = 24;

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
  private readonly projections: Projections;
  private readonly cellTable: Table;
  private readonly tour: Tour;
  private readonly picked: Picked;
  private readonly path: PathStrip;
  private readonly toolbar: HTMLElement;
  private readonly tools: Tools;
  private readonly address: Address;
  private readonly lab: LabPanel;
  private readonly top: HTMLElement;
  private readonly grids: HTMLElement;
  private readonly strip: HTMLElement;
  /** The chosen cell is still to be moved out from under the panel, once the panel has its size. */
  private isToBeShown = false;
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
    this.top = top;
    this.grids = top.querySelector<HTMLElement>(".grids") ?? top;
    this.strip = layerStrip(site.atlas, dispatch);
    const zoom = {
      zoom: (factor: number) => this.panes.lead(store.state).zoomBy(factor),
      home: () => this.panes.lead(store.state).home(),
    };
    this.toolbar = toolbar(dispatch);
    this.tools = new Tools(site, store);
    this.address = new Address(site, store);
    this.frame = makeFrame(app, top, this.strip, this.toolbar, zoom);
    this.panes = new Panes(this.frame.stage, this.frame.map, this.frame.minimap, site, dispatch, {
      moved: () => this.moved(),
      drawn: () => {
        document.documentElement.dataset.ready = "";
        performance.mark("actatlas-sharp");
        this.updateCells(this.store.state);
      },
      pointed: (pane, place) => this.pointed(pane, place),
      sketched: (pane, points) => this.tools.sketch(pane, points),
      sketchEnded: (points, isMore) => this.tools.finish(points, isMore),
    });
    this.tour = new Tour(this.frame.column, site, dispatch);
    this.legend = new Legend(this.frame.column, site, dispatch);
    this.picked = new Picked(this.frame.column, site, dispatch);
    this.path = new PathStrip(this.frame.stage, dispatch);
    this.gallery = new Gallery(app, site, dispatch);
    this.projections = new Projections(app, site, dispatch);
    this.cellTable = new Table(app, site, dispatch);
    this.card = new Card(this.frame.stage, site);
    const client = LabClient.ofPage();
    this.inspector = new Inspector(this.frame.stage, site, client, dispatch);
    if (client !== null) site.lights = (photo, side) => client.lights(photo, side);
    this.lab = new LabPanel(this.frame.stage, site, client, dispatch);
    this.about = new About(app, site, dispatch);
    this.keys = { ...zoom, ...this.keyActions() };
  }

  private keyActions(): Omit<KeyActions, "zoom" | "home"> {
    const { site, store } = this;
    const { dispatch } = store;
    return {
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
      pick: () => this.tools.pickChosen(),
      lengthen: () => this.tools.lengthen(),
      table: () => dispatch({ type: "dialogue", dialogue: "table" }),
      projections: () => site.atlas.has.projections && dispatch({ type: "dialogue", dialogue: "projections" }),
      gallery: () => site.atlas.has.confusions && dispatch({ type: "dialogue", dialogue: "gallery" }),
      nextEvidence: () => dispatch({ type: "evidence", evidence: nextEvidence(site.atlas, store.state.evidence) }),
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
    if (site.atlas.has.projections) actions.push(["projections", "Other photos", "What other photos reach of this map, and what it has nothing like (o)", open("projections")]);
    if (site.atlas.layers.length > 1) actions.push(["compare", "Compare", "Two layers side by side (c)", () => this.keys.compare()]);
    if (!isFramed) actions.push(["lab", "Lab", "Ask the network: patches on photos, better icons, which cells a photo lights up (a)", () => this.keys.lab()]);
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

  /** More has been painted, or all: what is on the page is drawn anew. */
  grown(): void {
    updateSizes(this.top, this.site.atlas);
    updateThumbnails(this.strip, this.site.atlas);
    this.store.dispatch({ type: "arrived" });
    if (this.site.atlas.is_finished) this.lab.openLate(this.store.state);
  }

  /** Go where the address says. */
  follow(hash: string): Promise<void> {
    return this.address.follow(hash);
  }

  private update(state: State, before: State | null): void {
    if (before !== null && isHoverAlone(state, before)) return this.updateCard(state);
    const { atlas } = this.site;
    updateLayers(this.strip, state, before);
    updateGrids(this.grids, atlas, state, this.store.dispatch);
    updateToolbar(this.toolbar, state);
    this.address.write(state, before);
    this.about.update(state.dialogue === "about");
    this.gallery.update(state.dialogue === "gallery");
    this.projections.update(state.dialogue === "projections");
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
    this.keepMapClear(state);
    updateStatus(this.frame.status, this.site.atlas, state);
  }

  /** The whole map stands beside the panels at the left. It stays where it is while the inspector covers the right. */
  private keepMapClear(state: State): void {
    const { offsetLeft, offsetWidth, offsetHeight } = this.frame.column;
    if (offsetHeight === 0) this.panes.keepClear(0);
    else if (state.cell === null) this.panes.keepClear(offsetLeft + offsetWidth);
  }

  private updateCard(state: State): void {
    const other = this.panes.other(state);
    const [pane, place] = this.besideHover !== null && other !== null ? [other, this.besideHover] : [this.panes.active(state), state.hover];
    const layer = pane.shown?.layer;
    const table = layer === undefined || place === null ? null : this.site.peek(layer, place.side);
    const cell = place === null ? null : (table?.at(place.column, place.row) ?? null);
    this.panes.mark(state, pane, cell?.place ?? null);
    if (cell === null || table === null || layer === undefined) return this.card.hide();
    this.card.show(layer, cell, table.length);
    const box = pane.map.boxOnScreen(cell.place);
    this.card.put(pane.element.offsetLeft + box.x, box.y, box.size);
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
      this.site.cells(layer, state.cell.side).then(() => this.updateCells(this.store.state), telling(this.store.dispatch));
      return;
    }
    this.inspector.show(layer, state.cell, table, state.lens);
    this.frame.spoken.textContent = sentence(state.cell, table);
    if (this.isToBeShown && this.panes.active(state).map.isOpen) {
      this.isToBeShown = false;
      this.bringIntoView(state.cell);
    }
  }

  private savePicture(): void {
    const { state, dispatch } = this.store;
    const [layer, beside] = [state.layer, state.beside].map((name) => (name === null ? null : layerOf(this.site.atlas, name).slug));
    const shown = (state.isRight ? [beside, layer] : [layer, beside]).filter((slug) => slug != null);
    try {
      this.panes.picture().toBlob((data) => {
        if (data !== null) download(data, `${shown.join("-beside-")}.png`);
      });
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      dispatch({ type: "message", text: "A page from a double click may not copy its pictures; open it with actatlas view, or from a web server." });
    }
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

  /** To the next cell in a direction; to the one in the middle where none is chosen. */
  private step(column: -1 | 0 | 1, row: -1 | 0 | 1): void {
    const { cell, shown, layer } = this.store.state;
    const table = this.site.peek(layerOf(this.site.atlas, layer), shown);
    if (table === null) return;
    if (cell === null || cell.side !== shown) {
      const middle = cell === null ? this.panes.active(this.store.state).map.centre() : middleOf(cell);
      return this.store.dispatch({ type: "select", cell: table.nearest(middle.x * shown - 0.5, middle.y * shown - 0.5) });
    }
    const next = table.next(cell, column, row);
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
