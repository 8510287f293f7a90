// The icons along a line over the map, as a strip.
import type { CellTable } from "../cells";
import { closeButton, el, plural } from "../dom";
import type { LayerValue } from "../format";
import { squaresAlong } from "../shapes";
import type { State } from "../state";
import type { Dispatch } from "../store";
import { cellButton } from "./cell";

export class PathStrip {
  readonly element = el("section", { class: "path", testid: "path", "aria-label": "Along the path" });
  private readonly icons = el("ol", { class: "path-icons", tabindex: "0", "aria-label": "Cells along the path, in order" });
  private readonly told = el("p", { class: "quiet" });
  private shown = "";

  constructor(
    private readonly stage: HTMLElement,
    private readonly dispatch: Dispatch,
  ) {
    const clear = closeButton("Take the path away", "Take the path away", () => {
      dispatch({ type: "path", path: [] });
      dispatch({ type: "tool", tool: "look" });
    });
    this.element.append(el("header", { class: "legend-head" }, this.told, clear), this.icons);
    this.element.hidden = true;
    stage.append(this.element);
  }

  /** What lies under the strip on a small screen moves up. */
  private makeRoom(): void {
    this.stage.style.setProperty("--path", this.element.hidden ? "0px" : `${this.element.offsetHeight + 8}px`);
  }

  update(state: State, layer: LayerValue, table: CellTable | null): void {
    this.element.hidden = state.path.length === 0 && state.tool !== "path";
    const key = `${layer.slug} ${state.shown} ${table !== null} ${JSON.stringify(state.path)}`;
    if (this.element.hidden || key === this.shown) return this.makeRoom();
    this.shown = key;
    const cells = table === null ? [] : squaresAlong(state.path, state.shown).filter(({ column, row }) => table.has(column, row));
    this.told.textContent =
      state.path.length === 0 ? "Draw a line over the map, or click point after point." : `${plural(cells.length, "cell")} along the path, ${layer.name}`;
    this.icons.replaceChildren(
      ...cells.map((place) => {
        const label = table?.at(place.column, place.row)?.classes[0]?.name ?? "";
        const title = `Cell ${place.column}, ${place.row}${label === "" ? "" : `: ${label}`}`;
        return el("li", {}, cellButton(layer, place, { class: "path-cell", px: 64, title }, () => this.dispatch({ type: "select", cell: place }), label));
      }),
    );
    this.makeRoom();
  }
}
