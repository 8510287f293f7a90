// Misunderstandings: each in a line, with the patch, the cell that it lies in, and its proof beside the controls.
import { button, el, percent, track } from "../dom";
import { showPicture, urlPath } from "../files";
import type { LayerValue, StoryValue } from "../format";
import { cellIcon } from "../pictures";
import type { Site } from "../site";
import { layerOf } from "../state";
import type { Dispatch } from "../store";
import { ListDialogue } from "./dialogue";

export class Gallery extends ListDialogue<StoryValue> {
  private readonly missing = el("p", { class: "quiet", text: "This page carries no photos, so the patches are not shown; what is shown is the icon of the cell that each lies in." });

  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly send: Dispatch,
  ) {
    super(app, { name: "Misunderstandings", testid: "gallery", class: "gallery" }, send);
    this.body.append(
      el("p", {
        class: "quiet",
        text: "Patches of one thing that the network takes for another. The share is of photos on which neither the patch’s size nor its corner was chosen; noise, grey and another patch had the same search.",
      }),
      this.missing,
    );
  }

  protected override async list(): Promise<readonly StoryValue[]> {
    const stories = await this.site.confusions();
    this.missing.hidden = !stories.some(({ patch }) => patch === null);
    return stories;
  }

  protected override card(story: StoryValue): HTMLElement {
    const { atlas } = this.site;
    const layer = layerOf(atlas, story.layer);
    const cell = { side: story.grid, column: story.column, row: story.row };
    const icon = cellIcon(layer, cell, 96, { role: "img", "aria-label": "icon of the cell that the patch lies in" });
    const pictures = el("div", { class: "story-pictures" }, captioned(icon, "icon of the cell that the patch lies in"));
    if (story.patch !== null) pictures.prepend(captioned(picture(story.patch, `patch of ${story.concept}`, "story-patch"), "the patch"));
    const go = (): void => {
      this.send({ type: "dialogue", dialogue: null });
      this.send({ type: "go", layer: story.layer, cell });
      this.send({ type: "lens", lens: { kind: "class", index: story.target } });
    };
    const text = el(
      "div",
      { class: "story-text" },
      el("h3", { text: `${story.concept} → ${this.site.className(story.target)}` }),
      el("p", { text: story.told }),
      ...(story.rates === null ? [] : [rates(story)]),
      el("div", { class: "story-buttons" }, button({ class: "wide" }, go, "Show it on the map"), ...this.atlasButton(story, layer)),
    );
    const card = el("article", { class: "story" }, pictures, text);
    if (story.story !== null) card.append(picture(story.story, `the story of ${story.concept} taken for ${this.site.className(story.target)}`, "story-whole"));
    return card;
  }

  /** Where the target has an atlas of its own in that layer. */
  private atlasButton(story: StoryValue, layer: LayerValue): HTMLElement[] {
    const name = this.site.className(story.target);
    const own = this.site.atlas.layers.find((other) => other.of === layer.name && other.name.startsWith(`${name} ·`));
    if (own === undefined) return [];
    const open = (): void => {
      this.send({ type: "dialogue", dialogue: null });
      this.send({ type: "layer", name: own.name });
    };
    return [button({ class: "wide" }, open, `Atlas of ${name}`)];
  }
}

function captioned(shown: HTMLElement, caption: string): HTMLElement {
  return el("figure", { class: "story-figure" }, shown, el("figcaption", { class: "quiet", text: caption }));
}

function rates(story: StoryValue): HTMLElement {
  const rows = (story.rates ?? []).map((entry, i) => {
    const [name, rate] = entry as [string, number];
    return el("li", {}, el("span", { class: "class-name", text: name }), el("span", { class: "class-value", text: percent(rate) }), track(rate, i === 0 ? "bar" : "bar is-control"));
  });
  return el("ol", { class: "classes", "aria-label": `Share of ${story.scored ?? 0} photos that turned` }, ...rows);
}

function picture(path: string, alt: string, name: string): HTMLElement {
  const image = el("img", { class: name });
  showPicture(image, urlPath(path));
  image.alt = alt;
  image.loading = "lazy";
  return image;
}
