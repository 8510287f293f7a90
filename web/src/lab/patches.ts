// Patches to choose from: the selected cell's, suggested ones, and the reader's own.
import type { Cell } from "../cells";
import { button, el, square } from "../dom";
import type { LabPlace, LabSuggestion, LayerValue } from "../format";
import type { LabClient, PhotoName } from "./client";
import { type PatchChoice, decoded, ofCell, ofPicture, thumbnail } from "./pictures";
import { promise } from "./place";
import { fileButton } from "./photos";

const PATCH_PX = 56;

export interface PatchEvents {
  /** place: where a suggestion wants it; null leaves it where the last one was. */
  chosen(patch: PatchChoice, place: LabPlace | null): void;
  photo(): PhotoName | null;
  failed(error: unknown): void;
}

export class Patches {
  readonly element = el("div", { class: "lab-patches" });
  private readonly note = el("p", { class: "note" });
  private readonly row = el("div", { class: "lab-row", testid: "lab-cell-patches", role: "group", "aria-label": "Patches of the selected cell" });
  private readonly list = el("ol", { class: "lab-suggestions", testid: "lab-suggestions" });
  private readonly said = el("p", { class: "note", "aria-live": "polite" });
  private readonly suggest = button({ class: "outlined", testid: "lab-suggest" }, () => void this.ask(), "Suggest patches");

  constructor(
    private readonly client: LabClient,
    private readonly events: PatchEvents,
  ) {
    const own = fileButton("Your own patch …", "lab-own-patch", (file) => void this.give(file));
    this.element.append(this.note, this.row, el("div", { class: "lab-buttons" }, this.suggest, own), this.said, this.list);
    this.showCell(null, null);
  }

  /** What the selected cell offers. */
  showCell(layer: LayerValue | null, cell: Cell | null): void {
    this.row.replaceChildren();
    if (layer === null || cell === null) {
      this.note.textContent = "Select a cell on the map to use its icon or its real patches.";
      return;
    }
    this.note.textContent = `Of cell ${cell.place.column}, ${cell.place.row} of ${layer.name}:`;
    this.row.append(
      ...ofCell(layer, cell).map((choice) => {
        const picture = square(PATCH_PX, { "aria-hidden": "true" });
        choice.draw(picture);
        return button({ title: choice.name, "aria-label": choice.name }, () => this.events.chosen(choice, null), picture);
      }),
    );
  }

  /** Suggestions are about a photo: with another one they are gone. */
  forget(): void {
    this.list.replaceChildren();
    this.said.textContent = "";
  }

  async give(file: Blob): Promise<void> {
    try {
      const given = await this.client.give(file);
      this.events.chosen(ofPicture({ key: given.key }, "your own patch", await decoded(given.patch)), null);
    } catch (error) {
      this.events.failed(error);
    }
  }

  private async ask(): Promise<void> {
    const photo = this.events.photo();
    if (photo === null) return;
    this.suggest.disabled = true;
    this.said.textContent = "Trying patches on this photo …";
    try {
      const found = await this.client.ask("suggest", { photo });
      if (photo !== this.events.photo()) return this.forget();
      const items = await Promise.all(found.patches.map((suggestion) => this.item(suggestion)));
      this.list.replaceChildren(...items);
      const from = found.from === "misunderstandings" ? "known misunderstandings" : "cells of the latest layer that speak for the next classes";
      this.said.textContent = items.length > 0 ? `From ${from}, each tried in four corners.` : "No patch was found.";
    } catch (error) {
      this.said.textContent = "";
      this.events.failed(error);
    } finally {
      this.suggest.disabled = false;
    }
  }

  private async item(suggestion: LabSuggestion): Promise<HTMLElement> {
    const picture = await decoded(suggestion.picture);
    const choice = ofPicture(suggestion.patch, `patch of ${suggestion.shows}`, picture);
    const told = el("span", {}, el("span", { class: "lab-shows", text: suggestion.shows }), el("span", { class: "quiet", text: promise(suggestion) }));
    const small = await thumbnail(suggestion.picture, PATCH_PX, "");
    small.setAttribute("aria-hidden", "true");
    return el("li", {}, button({}, () => this.events.chosen(choice, suggestion.place), small, told));
  }
}
