// Over two maps: which layers they show, buttons that work on the other one, show another, or go back to one map, and what
// dims the other one.
import { breakable, button, closeButton, el } from "../dom";
import type { AtlasValue } from "../format";
import type { State } from "../state";
import type { Dispatch } from "../store";

/** On the map that is not worked on: what its dimming shows. The legend is the other map's. */
export class BesideNote {
  readonly element = el("p", { class: "beside-note", testid: "beside-note", role: "note" });

  show(pane: HTMLElement, text: string): void {
    if (this.element.parentElement !== pane) pane.append(this.element);
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  hide(): void {
    this.element.remove();
  }
}

export class BesideChoice {
  readonly element = el("div", { class: "beside-choice" });

  constructor(
    private readonly atlas: AtlasValue,
    private readonly dispatch: Dispatch,
  ) {}

  update(state: State): void {
    if (state.beside === null) return;
    const [left, right] = state.isRight ? [state.beside, state.layer] : [state.layer, state.beside];
    const key = `${left} ${right} ${state.isRight}`;
    if (this.element.dataset.shows === key) return;
    this.element.dataset.shows = key;
    const swap = button({ class: "plain", title: "Work on the other map (x)", "aria-label": "Work on the other map" }, () => this.dispatch({ type: "cross", cell: null }), "⇄");
    const close = closeButton("One map", "One map (c)", () => this.dispatch({ type: "beside", name: null }));
    this.element.replaceChildren(breakable(left), swap, this.select(right, state.isRight), close);
  }

  /** isActive: it is the right map that is worked on */
  private select(right: string, isActive: boolean): HTMLElement {
    const select = el("select", { class: "beside-select", testid: "beside", "aria-label": "Layer on the other map" });
    for (const layer of this.atlas.layers) {
      if (layer.grids.length === 0) continue;
      const option = el("option", { text: layer.name });
      option.value = layer.name;
      option.selected = layer.name === right;
      select.append(option);
    }
    select.addEventListener("change", () => this.dispatch({ type: isActive ? "layer" : "beside", name: select.value }));
    return select;
  }
}
