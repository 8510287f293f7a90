// A tour: stops with a place on the map each and a few words.
import { button, closeButton, el } from "../dom";
import { telling } from "../errors";
import type { TourValue } from "../format";
import { go } from "../here";
import type { Site } from "../site";
import type { State } from "../state";
import type { Dispatch } from "../store";

export class Tour {
  readonly element = el("section", { class: "side tour", testid: "tour", "aria-label": "Tour", "aria-live": "polite" });
  private stops: TourValue = [];
  private shown: number | null = null;

  constructor(
    column: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    this.element.hidden = true;
    column.append(this.element);
  }

  /** To another stop; the first one begins the tour. */
  step(from: number | null, by: 1 | -1): void {
    this.site.tour().then((stops) => {
      this.stops = stops;
      const next = from === null ? 0 : from + by;
      const stop = stops[next];
      if (stop === undefined) return;
      this.dispatch({ type: "stop", stop: next });
      go(stop.link);
    }, telling(this.dispatch));
  }

  update(state: State): void {
    this.element.hidden = state.stop === null;
    if (state.stop === null || state.stop === this.shown) return;
    this.shown = state.stop;
    const stop = this.stops[state.stop];
    if (stop === undefined) return;
    const back = button({ class: "wide" }, () => this.step(state.stop, -1), "Before");
    const on = button({ class: "wide" }, () => this.step(state.stop, 1), "Next");
    back.disabled = state.stop === 0;
    on.disabled = state.stop === this.stops.length - 1;
    const close = closeButton("End the tour", "End the tour", () => this.dispatch({ type: "stop", stop: null }));
    this.element.replaceChildren(
      el("header", { class: "legend-head" }, el("div", {}, el("p", { class: "quiet", text: `Stop ${state.stop + 1} of ${this.stops.length}` }), el("h2", { class: "legend-name", text: stop.title })), close),
      ...stop.text.map((text) => el("p", { class: "tour-text", text })),
      el("div", { class: "story-buttons" }, back, on),
    );
  }
}
