// How the map is drawn: icons' sizes, names of regions.
import { el } from "../dom";
import type { State } from "../state";
import type { Dispatch } from "../store";

export class ViewMenu {
  readonly element = el("details", { class: "view-menu", testid: "view" });
  private readonly density = el("input", { type: "range", class: "gain", "aria-label": "Icon size by number of activations" });
  private readonly labels = el("input", { type: "checkbox" });

  constructor(dispatch: Dispatch) {
    this.density.min = "0";
    this.density.max = "1";
    this.density.step = "0.25";
    this.density.addEventListener("input", () => dispatch({ type: "density", share: Number(this.density.value) }));
    this.labels.addEventListener("change", () => dispatch({ type: "labels", areShown: this.labels.checked }));
    const menu = el(
      "div",
      { class: "view-body" },
      el("label", { class: "view-row" }, "Size by activations", this.density),
      el("label", { class: "view-row" }, "Names of regions (n)", this.labels),
    );
    this.element.append(el("summary", { class: "plain", text: "View" }), menu);
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target instanceof Node && this.element.contains(event.target))) this.element.open = false;
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.element.querySelector("summary")?.focus();
      event.stopPropagation();
    });
  }

  update(state: State): void {
    this.density.value = String(state.density);
    this.labels.checked = state.hasLabels;
  }
}
