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
      const next = from === null ? 0 : from + by;
      const stop = stops[next];
      // The stop is part of the address: who goes back there is at that stop again.
      if (stop !== undefined) go(`${stop.link}&stop=${next + 1}`);
    }, telling(this.dispatch));
  }

  update(state: State): void {
    this.element.hidden = state.stop === null;
    if (state.stop === this.shown) return;
    this.shown = state.stop;
    if (state.stop === null) return;
    this.element.replaceChildren();
    const asked = state.stop;
    this.site.tour().then((stops) => {
      if (this.shown === asked) this.show(asked, stops);
    }, telling(this.dispatch));
  }

  private show(at: number, stops: TourValue): void {
    const stop = stops[at];
    if (stop === undefined) {
      this.dispatch({ type: "stop", stop: null });
      return this.dispatch({ type: "message", text: `The tour has no stop ${at + 1}; it has ${stops.length}.` });
    }
    const back = button({ class: "wide" }, () => this.step(at, -1), "Before");
    const on = button({ class: "wide" }, () => this.step(at, 1), "Next");
    back.disabled = at === 0;
    on.disabled = at === stops.length - 1;
    const close = closeButton("End the tour", "End the tour", () => this.dispatch({ type: "stop", stop: null }));
    this.element.replaceChildren(
      el("header", { class: "legend-head" }, el("div", {}, el("p", { class: "quiet", text: `Stop ${at + 1} of ${stops.length}` }), el("h2", { class: "legend-name", text: stop.title })), close),
      el("div", { class: "tour-body", tabindex: "0", role: "group", "aria-label": stop.title }, ...stop.text.map((text) => el("p", { class: "tour-text", text }))),
      el("div", { class: "story-buttons" }, back, on),
    );
  }
}
