// One map, or two side by side that move together: which layer each shows, and what dims it.
import { captioned } from "./captioned";
import { messageOf, telling } from "./errors";
import type { LayerValue } from "./format";
import { mapElement } from "./frame";
import { type Lens, besideWords, holdsInAllLayers, sameLens, wordsOf } from "./lens";
import type { Ends, Label } from "./map/overlay";
import { type Dimming, Pane } from "./pane";
import { BesideChoice, BesideNote } from "./panels/beside";
import type { Place, Point, View } from "./places";
import type { Site } from "./site";
import { type Evidence, type State, gridOf, layerOf, nearestSide } from "./state";
import type { Dispatch } from "./store";

export interface PanesEvents {
  moved(): void;
  /** The layer that is worked on is on the screen. */
  drawn(): void;
  /** The pointer is over a square of a pane, or over none. */
  pointed(pane: Pane, place: Place | null): void;
  sketched(pane: Pane, points: readonly Point[]): void;
  sketchEnded(points: readonly Point[], isMore: boolean): void;
}

export class Panes {
  private readonly left: Pane;
  private right: Pane | null = null;
  private readonly choice: BesideChoice;
  private readonly note = new BesideNote();
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
    this.choice = new BesideChoice(site.atlas, dispatch);
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
    for (const pane of this.all()) {
      const { shown } = pane;
      pane.shrink(shown === null ? null : this.site.peek(shown.layer, shown.side), state.density);
      pane.choose(pane === this.active(state) ? state.tool : "look");
      pane.sketch({ line: state.path, isClosed: false, picked: pane === this.active(state) ? state.picked : [] });
    }
    this.updateLens(state);
  }

  /** Rings round the square that the pointer is over, on one of the maps, and round the chosen one. */
  mark(state: State, pane: Pane, hovered: Place | null): void {
    const active = this.active(state);
    for (const each of this.all()) each.mark(each === pane ? hovered : null, each === active ? state.cell : null);
  }

  /** So many pixels at the left of the stage are covered: two maps have no room to get out of the way. */
  keepClear(coveredPx: number): void {
    this.left.map.keepClear(this.right === null ? coveredPx : 0);
  }

  repaint(state: State): void {
    for (const pane of this.all()) pane.repaint();
    this.updateLens(state);
  }

  private updateLens(state: State): void {
    this.lay(this.active(state), state, state.lens);
    const other = this.other(state);
    if (other === null) return this.note.hide();
    const lens = lensBeside(state, layerOf(this.site.atlas, state.layer));
    const dimming = this.lay(other, state, lens);
    if (dimming === null) return this.note.hide();
    const sign = dimming.numbers.least < 0 ? state.sign : "for";
    this.note.show(other.element, besideWords(dimming.lens, dimming.numbers, sign, (index) => this.site.className(index)));
  }

  /** Dim a map as soon as the numbers are here, or name its regions: beside numbers names are too much. */
  private lay(pane: Pane, state: State, lens: Lens | null): Dimming | null {
    const { shown } = pane;
    const dimming = lens === null || shown === null ? null : this.dimming(state, shown.layer, shown.side, lens);
    pane.dim(dimming, state.sign, state.gain);
    pane.between(shown === null ? null : endsOf(this.site, shown.layer));
    pane.name(state.hasLabels && lens === null && shown !== null ? labelsOf(this.site, shown.layer) : []);
    pane.draw();
    return dimming;
  }

  private dimming(state: State, layer: LayerValue, side: number, lens: Lens): Dimming | null {
    if (this.missing.has(missingKey(layer, lens))) return null;
    const numbers = this.site.peekNumbers(layer, side, lens);
    const table = numbers === null ? null : this.site.peek(layer, numbers.side);
    if (numbers !== null && table !== null) return { lens, table, numbers };
    this.fetch(state, layer, side, lens);
    return null;
  }

  private fetch(state: State, layer: LayerValue, side: number, lens: Lens): void {
    const got = this.site.lensNumbers(layer, side, lens).then((found) => this.site.cells(layer, found.side));
    got.then(
      () => this.dispatch({ type: "arrived" }),
      (error: unknown) => {
        if (sameLens(lens, state.lens)) this.dispatch({ type: "lens", lens: null });
        else this.missing.add(missingKey(layer, lens));
        this.dispatch({ type: "message", text: messageOf(error) });
      },
    );
  }

  private showIn(pane: Pane, layer: LayerValue, side: number, evidence: Evidence): void {
    const grid = gridOf(layer, side);
    const isOther = pane.shown?.layer !== layer || pane.shown.side !== side;
    if (isOther) delete document.documentElement.dataset.ready;
    if (grid === null) return;
    pane.show(layer, grid, evidence);
    if (!isOther) return;
    this.site.cells(layer, side).then(() => {
      pane.point();
      this.dispatch({ type: "arrived" });
    }, telling(this.dispatch));
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
      sketchEnded: (points, isMore) => this.events.sketchEnded(points, isMore),
      failed: (text) => this.dispatch({ type: "message", text }),
    });
    for (const kind of ["pointerenter", "pointerdown", "focusin"] as const) map.addEventListener(kind, () => (this.leader = pane));
    return pane;
  }

  private split(state: State): void {
    this.note.hide();
    if (state.beside === null) {
      this.right?.remove();
      this.right = null;
      this.leader = this.left;
      this.choice.element.remove();
    } else {
      // The left map makes room, and both look at what was looked at.
      this.right = this.make(mapElement("map-beside", "Second map of cells"), null);
      this.left.element.after(this.right.element);
      this.right.map.look(state.view, true);
      this.stage.append(this.choice.element);
    }
    this.stage.classList.toggle("is-split", this.right !== null);
  }

  /** Keys move the layer that is worked on, and what they move leads. */
  lead(state: State): Pane["map"] {
    this.leader = this.active(state);
    return this.leader.map;
  }

  /** What is on the screen, both maps where there are two, in device pixels; under each what it shows. */
  picture(): HTMLCanvasElement {
    const parts = this.all().map((pane) => {
      const { offsetLeft, offsetTop, clientLeft, clientTop } = pane.element;
      return { picture: pane.picture(), left: offsetLeft + clientLeft, top: offsetTop + clientTop, caption: this.caption(pane) };
    });
    const ratio = (parts[0]?.picture.width ?? 1) / Math.max(this.left.map.element.clientWidth, 1);
    return captioned(parts, ratio);
  }

  private caption({ shown, lens }: Pane): string {
    if (shown === null) return "";
    const what = `${shown.layer.name}, ${shown.side} × ${shown.side}`;
    if (lens === null) return what;
    const { heading, note } = wordsOf(lens, shown.layer.name, (index) => this.site.className(index));
    return `${what}. ${heading}: ${note}`;
  }

  private markActive(state: State): void {
    this.left.element.classList.toggle("is-active", this.right !== null && !state.isRight);
    this.right?.element.classList.toggle("is-active", state.isRight);
    if (this.right !== null) this.choice.update(state);
  }

  private all(): Pane[] {
    return this.right === null ? [this.left] : [this.left, this.right];
  }
}

/** What dims the other map: a chosen cell shows where its photos went, unless something else is asked for. */
function lensBeside({ lens, cell }: State, layer: LayerValue): Lens | null {
  if (lens !== null && holdsInAllLayers(lens)) return lens;
  return cell !== null && gridOf(layer, cell.side)?.lists_photos ? { kind: "photos", layer: layer.name, cell } : null;
}

function missingKey(layer: LayerValue, lens: Lens): string {
  return `${layer.slug} ${JSON.stringify(lens)}`;
}

/** Of a map between two classes, what they are called. */
function endsOf(site: Site, layer: LayerValue): Ends | null {
  const [left, right] = layer.ends ?? [];
  return left === undefined || right === undefined ? null : { left: site.className(left), right: site.className(right) };
}

/** The regions' names, each of its clearest classes. */
function labelsOf(site: Site, layer: LayerValue): Label[] {
  return layer.regions.map(({ x, y, classes, name }) => ({ x, y, text: name ?? classes.slice(0, 2).map((index) => site.className(index)).join(", ") }));
}
