// What the network takes the photo for, before and with the patch: two bars a class, told apart by more than colour.
import { el, percent, track } from "../dom";
import type { LabPrediction } from "../format";
import { headline, rowsOf } from "./place";

const MOST_ROWS = 6;

export class Bars {
  readonly element = el("div", { class: "lab-told" });
  private readonly headline = el("p", { class: "lab-headline", testid: "lab-headline" });
  private readonly spoken = el("p", { class: "spoken", "aria-live": "polite" });
  private readonly list = el("ol", { class: "classes lab-bars", testid: "lab-bars" });

  constructor() {
    this.element.append(this.headline, this.list, this.spoken);
  }

  clear(text: string): void {
    this.headline.textContent = text;
    this.list.replaceChildren();
  }

  /** isLast: nothing newer is asked for, so it may be spoken too. */
  show(told: LabPrediction, isLast: boolean): void {
    const text = headline(told);
    this.headline.textContent = text;
    if (isLast && this.spoken.textContent !== text) this.spoken.textContent = text;
    this.list.replaceChildren(
      ...rowsOf(told, MOST_ROWS).map(({ index, name, before, after }) => {
        const row = el(
          "li",
          { title: name },
          el("span", { class: "class-name", text: name }),
          el("span", { class: "class-value", text: after === null ? percent(before) : `${percent(before)} → ${percent(after)}` }),
        );
        row.dataset.class = String(index);
        row.dataset.before = String(before);
        if (after !== null) row.dataset.after = String(after);
        if (after !== null) row.append(track(before, "bar is-before", { "aria-hidden": "true" }));
        row.append(track(after ?? before, "bar", { "aria-hidden": "true" }));
        return row;
      }),
    );
  }
}
