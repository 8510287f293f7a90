// One map, or two side by side that move together: which layer each shows, and what dims it.
import { breakable, button, el } from "./dom";
import type { LayerValue } from "./format";
import { mapElement } from "./frame";
import { type CellNumbers, type Lens, holdsInAllLayers, sameLens } from "./lens";
import type { Label } from "./map/overlay";
import { Pane } from "./pane";
import type { Site } from "./site";
import { type Evidence, type Place, type Point, type State, type View, gridOf, layerOf, nearestSide } from "./state";
import type { Dispatch } from "./store";

export interface PanesEvents {
  moved(): void;
  /** The layer that is worked on is on the screen. */
  drawn(): void;
  /** The pointer is over a square of a pane, or over none. */
  pointed(pane: Pane, place: Place | null): void;
  sketched(pane: Pane, points: readonly Point[]): void;
  sketchEnded(pane: Pane, points: readonly Point[], isMore: boolean): void;
}

export class Panes {
  private readonly left: Pane;
  private right: Pane | null = null;
  private readonly choice = el("div", { class: "beside-choice" });
  /** The pane that the reader moves; the other follows. */
  private leader: Pane;
  private view: View | null = null;
  /** Asked for on the reader's behalf, and not to be had: not asked for again. */
  private readonly missing = new Set<string>();

  constructor(
    private readonly stage: HTMLElement,
    map: HTMLElement,
    minimap: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
    private readonly events: PanesEvents,
  ) {
    this.left = this.make(map, minimap);
    this.leader = this.left;
  }

  /** The pane of the layer that is worked on. */
  active(state: State): Pane {
    return state.isRight && this.right !== null ? this.right : this.left;
  }

  other(state: State): Pane | null {
    if (this.right === null) return null;
    return state.isRight ? this.left : this.right;
  }

  update(state: State, before: State | null): void {
    this.view = state.view;
    if ((state.beside !== null) !== (this.right !== null)) this.split(state);
    this.markActive(state);
    const layer = layerOf(this.site.atlas, state.layer);
    this.showIn(this.active(state), layer, state.shown, state.evidence);
    const other = this.other(state);
    const beside = state.beside === null ? null : layerOf(this.site.atlas, state.beside);
    if (other !== null && beside !== null) this.showIn(other, beside, nearestSide(beside, state.shown), state.evidence);
    if (state.goal !== null && state.goal !== before?.goal) this.active(state).map.look(state.goal.view, before === null);
    for (const pane of [this.left, this.right]) {
      const { shown } = pane ?? {};
      pane?.shrink(shown ? this.site.peek(shown.layer, shown.side) : null, state.density);
      pane?.choose(pane === this.active(state) ? state.tool : "look");
      pane?.sketch({ line: state.path, isClosed: false, picked: pane === this.active(state) ? state.picked : [] });
    }
    this.updateLens(state);
  }

  mark(pane: Pane, hover: Place | null, chosen: Place | null): void {
    for (const each of [this.left, this.right]) each?.mark(each === pane ? hover : null, each === pane ? chosen : null);
  }

  /** Dim the maps as soon as the numbers are here; the numbers of the layer that is worked on. */
  updateLens(state: State): CellNumbers | null {
    const active = this.active(state);
    const found = this.dim(active, state, state.lens);
    const labels = state.hasLabels && state.lens === null; // beside numbers they are too much
    active.name(labels && active.shown !== null ? labelsOf(this.site, active.shown.layer) : []);
    active.draw();
    const other = this.other(state);
    if (other !== null) {
      // A chosen cell shows where its photos went, unless something else is asked for.
      const canTell = state.cell !== null && gridOf(layerOf(this.site.atlas, state.layer), state.cell.side)?.lists_photos === true;
      const photos: Lens | null = canTell && state.cell !== null ? { kind: "photos", layer: state.layer, cell: state.cell } : null;
      const lens = state.lens !== null && holdsInAllLayers(state.lens) ? state.lens : photos;
      this.dim(other, state, lens);
      other.name(state.hasLabels && lens === null && other.shown !== null ? labelsOf(this.site, other.shown.layer) : []);
      other.draw();
    }
    return found;
  }

  repaint(state: State): void {
    this.left.repaint();
    this.right?.repaint();
    this.updateLens(state);
  }

  private dim(pane: Pane, state: State, lens: Lens | null): CellNumbers | null {
    const { shown } = pane;
    if (lens === null || shown === null || this.missing.has(missingKey(shown.layer, lens))) {
      pane.dim(null, state.sign, state.gain);
      return null;
    }
    const numbers = this.site.peekNumbers(shown.layer, shown.side, lens);
    const table = numbers === null ? null : this.site.peek(shown.layer, numbers.side);
    if (numbers !== null && table !== null) {
      pane.dim({ lens, table, numbers }, state.sign, state.gain);
      return numbers;
    }
    pane.dim(null, state.sign, state.gain);
    this.fetch(state, shown.layer, shown.side, lens);
    return null;
  }

  private fetch(state: State, layer: LayerValue, side: number, lens: Lens): void {
    const got = this.site.lensNumbers(layer, side, lens).then((found) => this.site.cells(layer, found.side));
    got.then(
      () => this.dispatch({ type: "arrived" }),
      (error: Error) => {
        if (sameLens(lens, state.lens)) this.dispatch({ type: "lens", lens: null });
        else this.missing.add(missingKey(layer, lens));
        this.dispatch({ type: "message", text: error.message });
      },
    );
  }

  private showIn(pane: Pane, layer: LayerValue, side: number, evidence: Evidence): void {
    const grid = gridOf(layer, side);
    if (pane.shown?.layer === layer && pane.shown.side === side) {
      if (grid !== null) pane.show(layer, grid, evidence);
      return;
    }
    if (pane === this.left || pane === this.right) delete document.documentElement.dataset.ready;
    if (grid === null) return;
    pane.show(layer, grid, evidence);
    this.site.cells(layer, side).then(
      () => {
        pane.point();
        this.dispatch({ type: "arrived" });
      },
      (error: Error) => this.dispatch({ type: "message", text: error.message }),
    );
  }

  private make(map: HTMLElement, minimap: HTMLElement | null): Pane {
    const pane = new Pane(this.stage, map, minimap, {
      moved: (moving) => {
        const follower = moving === this.left ? this.right : this.left;
        if (moving === this.leader && follower !== null) follower.followView(moving.map.exactView());
        if (moving === this.leader) this.events.moved();
      },
      resized: (resized) => {
        resized.map.look(this.view, true); // what was looked at is looked at still
        resized.draw();
        this.events.moved();
      },
      settled: (settling) => {
        if (settling === this.leader) this.dispatch({ type: "looked", view: settling.map.view() });
      },
      clicked: (clicked, place) => this.dispatch({ type: clicked === this.left ? "click-left" : "click-right", cell: place }),
      pointed: (pointed, place) => this.events.pointed(pointed, place),
      drawn: () => this.events.drawn(),
      sketched: (sketching, points) => this.events.sketched(sketching, points),
      sketchEnded: (sketching, points, isMore) => this.events.sketchEnded(sketching, points, isMore),
      failed: (text) => this.dispatch({ type: "message", text }),
    });
    for (const kind of ["pointerenter", "pointerdown", "focusin"] as const) map.addEventListener(kind, () => (this.leader = pane));
    return pane;
  }

  private split(state: State): void {
    if (state.beside === null) {
      this.right?.remove();
      this.right = null;
      this.leader = this.left;
      this.choice.remove();
    } else {
      // The left map makes room, and both look at what was looked at.
      this.right = this.make(mapElement("map-beside", "Second map of cells"), null);
      this.left.element.after(this.right.element);
      this.right.map.look(state.view, true);
      this.stage.append(this.choice);
    }
    this.stage.classList.toggle("is-split", this.right !== null);
  }

  /** Keys move the layer that is worked on, and what they move leads. */
  lead(state: State): AtlasPaneMap {
    this.leader = this.active(state);
    return this.leader.map;
  }

  private markActive(state: State): void {
    this.left.element.classList.toggle("is-active", this.right !== null && !state.isRight);
    this.right?.element.classList.toggle("is-active", state.isRight);
    if (this.right === null) return;
    const right = state.isRight ? state.layer : (state.beside ?? "");
    const left = state.isRight ? (state.beside ?? "") : state.layer;
    if (this.choice.dataset.shows === `${left} ${right}`) return;
    this.choice.dataset.shows = `${left} ${right}`;
    const swap = button({ class: "plain", title: "Work on the other map (x)" }, () => this.dispatch({ type: "cross", cell: null }), "⇄");
    swap.setAttribute("aria-label", "Work on the other map");
    const close = button({ class: "plain", "aria-label": "One map", title: "One map (c)" }, () => this.dispatch({ type: "beside", name: null }), "✕");
    this.choice.replaceChildren(breakable(left), swap, this.selectBeside(state), close);
  }

  private selectBeside(state: State): HTMLElement {
    const select = el("select", { class: "beside-select", testid: "beside", "aria-label": "Layer on the other map" });
    for (const layer of this.site.atlas.layers) {
      if (layer.grids.length === 0) continue;
      const option = el("option", { text: layer.name });
      option.value = layer.name;
      option.selected = layer.name === state.beside;
      select.append(option);
    }
    select.addEventListener("change", () => this.dispatch({ type: "beside", name: select.value }));
    return select;
  }
}

function missingKey(layer: LayerValue, lens: Lens): string {
  return `${layer.slug} ${JSON.stringify(lens)}`;
}

type AtlasPaneMap = Pane["map"];

/** The regions' names, each of its clearest classes. */
function labelsOf(site: Site, layer: LayerValue): Label[] {
  return layer.regions.map(({ x, y, classes }) => ({ x, y, text: classes.slice(0, 2).map((index) => site.className(index)).join(", ") }));
}
