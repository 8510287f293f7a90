// What the drawing tools do: cells are picked by a box, a lasso or a click, and a path goes on.
import type { Pane } from "./pane";
import { type Place, type Point, middleOf, samePlace } from "./places";
import { boxBetween, isBetween, isInside, squaresAlong, thinned } from "./shapes";
import type { Site } from "./site";
import { layerOf } from "./state";
import type { Store } from "./store";

const PATH_STEP = 0.008; // of the map's side: what a hand draws is thinned to points so far apart
const MOST_POINTS = 200;

export class Tools {
  constructor(
    private readonly site: Site,
    private readonly store: Store,
  ) {}

  /** A drag goes on. */
  sketch(pane: Pane, points: readonly Point[]): void {
    const { tool, path, picked } = this.store.state;
    const first = points[0];
    const last = points[points.length - 1];
    const line = tool === "box" && first !== undefined && last !== undefined ? boxBetween(first, last) : tool === "path" ? [...path, ...points] : points;
    pane.sketch({ line, isClosed: tool !== "path", picked });
    pane.draw();
  }

  /** A drag has drawn something, or a click has hit one point. */
  finish(points: readonly Point[], isMore: boolean): void {
    const { state, dispatch } = this.store;
    const table = this.site.peek(layerOf(this.site.atlas, state.layer), state.shown);
    const [first] = points;
    if (first === undefined || table === null) return;
    if (state.tool === "path") return this.setPath(points.length === 1 ? [...state.path, first] : thinned(points, PATH_STEP));
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

  /** The chosen cell is picked, or let go. */
  pickChosen(): void {
    const { cell } = this.store.state;
    if (cell !== null) this.toggle(cell);
  }

  /** The path goes on to the chosen cell. */
  lengthen(): void {
    const { cell, path } = this.store.state;
    if (cell !== null) this.setPath([...path, middleOf(cell)]);
  }

  private setPath(path: readonly Point[]): void {
    this.store.dispatch({ type: "path", path: path.slice(-MOST_POINTS) });
  }

  private toggle(place: Place): void {
    const { state, dispatch } = this.store;
    const isPicked = state.picked.some((cell) => samePlace(cell, place));
    if (isPicked) dispatch({ type: "pick", cells: state.picked.filter((cell) => !samePlace(cell, place)), isMore: false });
    else dispatch({ type: "pick", cells: [place], isMore: true });
  }
}
