// Type-ahead over classes, atlases of classes, channels, directions and what came with the photos: a combobox as WAI-ARIA has it.
import { el } from "../dom";
import { telling } from "../errors";
import type { ColumnsValue } from "../format";
import { type Lens, wordsOf } from "../lens";
import { type Names, plain } from "../search";
import type { Site } from "../site";
import { type State, layerOf } from "../state";
import type { Dispatch } from "../store";

const MOST = 10;

interface Option {
  readonly text: string;
  readonly note: string;
  readonly choose: () => void;
}

export class Search {
  readonly element = el("div", { class: "search", role: "search" });
  private readonly input = el("input", {
    class: "search-input",
    testid: "class-search",
    type: "text",
    role: "combobox",
    id: "class-search",
    "aria-label": "Find a class, a channel, a direction, or what came with the photos",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": "class-options",
  });
  private readonly list = el("ul", { class: "search-options", role: "listbox", id: "class-options", "aria-label": "Found" });
  private options: Option[] = [];
  private chosen = 0;
  private names: Names | null = null;
  private columns: ColumnsValue | null = null;
  private state: State | null = null;

  constructor(
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    this.input.placeholder = "Class, channel, label …";
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    this.list.hidden = true;
    this.element.append(this.input, this.list);
    this.input.addEventListener("focus", () => void this.load());
    this.input.addEventListener("input", () => {
      this.fill();
      void this.load(); // a window behind others hears of no focus
    });
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.key(event));
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  update(state: State): void {
    this.state = state;
    if (document.activeElement === this.input) return;
    this.input.value = state.lens === null ? "" : wordsOf(state.lens, state.layer, (index) => this.site.className(index)).inField;
  }

  /** Until the names of the classes are here. */
  private async load(): Promise<void> {
    const failed = telling(this.dispatch);
    if (this.columns === null) {
      this.site.columns().then((columns) => {
        this.columns = columns;
        this.fill();
      }, failed);
    }
    if (this.names !== null) return;
    try {
      this.names = await this.site.names();
      this.fill();
    } catch (error) {
      failed(error);
    }
  }

  private fill(): void {
    if (document.activeElement !== this.input) return;
    this.options = this.found(this.input.value);
    this.chosen = 0;
    this.list.replaceChildren(
      ...this.options.map((option, i) => {
        const item = el("li", { role: "option", id: `class-option-${i}` }, el("span", { text: option.text }), el("span", { class: "quiet", text: option.note }));
        item.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
        item.addEventListener("click", () => this.choose(i)); // no sooner: the list goes, and what lies under it would be clicked
        return item;
      }),
    );
    const isEmpty = plain(this.input.value) === "";
    if (this.options.length === 0 && !isEmpty && this.names !== null) {
      this.list.replaceChildren(el("li", { class: "quiet", role: "option", "aria-disabled": "true", text: "Nothing is called that." }));
    }
    const isOpen = this.list.childElementCount > 0 && !isEmpty;
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    this.mark();
  }

  private found(query: string): Option[] {
    const { names, state, dispatch } = this;
    const wanted = plain(query);
    if (wanted === "" || state === null) return [];
    const { atlas } = this.site;
    const lens = (value: Lens): (() => void) => () => dispatch({ type: "lens", lens: value });
    const classes = (names?.find(query, MOST) ?? []).map(({ index, called }) => ({
      text: this.site.className(index),
      note: called === null ? "" : called,
      choose: lens({ kind: "class", index }),
    }));
    const atlases = atlas.layers
      .filter((layer) => layer.of !== null && ` ${plain(layer.name)}`.includes(` ${wanted}`))
      .slice(0, 4)
      .map((layer) => ({ text: layer.name, note: "an atlas of its own", choose: () => dispatch({ type: "layer", name: layer.name }) }));
    const channel = /^(?:channel )?(\d+)$/.exec(wanted);
    const count = Math.max(...layerOf(atlas, state.layer).grids.map((grid) => grid.numbers.channels?.count ?? 0), 0);
    const channels =
      channel !== null && Number(channel[1]) < count
        ? [{ text: `channel ${channel[1]}`, note: state.layer, choose: lens({ kind: "channel", index: Number(channel[1]) }) }]
        : [];
    const named = [...new Set(atlas.layers.flatMap((layer) => layer.directions))];
    const directions = named
      .filter((name) => "direction".startsWith(wanted) || ` ${plain(name)}`.includes(` ${wanted}`))
      .slice(0, MOST)
      .map((name) => ({ text: name, note: "a direction", choose: lens({ kind: "direction", name }) }));
    const values = Object.entries(this.columns ?? {}).flatMap(([column, { values: all }]) => {
      const isAsked = plain(column).startsWith(wanted); // a column's name lists what there is
      return all
        .filter((value) => value !== "" && (isAsked || ` ${plain(value)}`.includes(` ${wanted}`)))
        .slice(0, isAsked ? MOST : 3)
        .map((value) => ({ text: value, note: `photos’ ${column}`, choose: lens({ kind: "value", column, value }) }));
    });
    const others = [...atlases, ...channels, ...directions, ...values];
    return [...classes.slice(0, MOST - Math.min(others.length, 5)), ...others].slice(0, MOST);
  }

  private key(event: KeyboardEvent): void {
    const { length } = this.options;
    if (event.key === "ArrowDown" && length > 0) this.chosen = (this.chosen + 1) % length;
    else if (event.key === "ArrowUp" && length > 0) this.chosen = (this.chosen + length - 1) % length;
    else if (event.key === "Enter") void this.load().then(() => this.choose(this.chosen));
    else if (event.key === "Escape") {
      this.dispatch({ type: "lens", lens: null });
      this.input.value = "";
      this.input.blur();
    } else return;
    event.preventDefault();
    this.mark();
  }

  private choose(i: number): void {
    const option = this.options[i];
    if (option === undefined) {
      if (plain(this.input.value) === "") this.dispatch({ type: "lens", lens: null });
      return;
    }
    this.input.blur();
    option.choose();
  }

  private close(): void {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    if (this.state !== null) this.update(this.state);
  }

  private mark(): void {
    Array.from(this.list.children).forEach((item, i) => {
      item.setAttribute("aria-selected", String(i === this.chosen));
      if (i === this.chosen) item.scrollIntoView({ block: "nearest" });
    });
    if (this.list.hidden) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `class-option-${this.chosen}`);
  }
}
