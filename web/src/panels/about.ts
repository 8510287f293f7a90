// Where the atlas came from, how to read it, which keys there are.
import { breakable, el, number, percent } from "../dom";
import { telling } from "../errors";
import type { AboutValue } from "../format";
import type { Site } from "../site";
import type { Dispatch } from "../store";
import { Dialogue } from "./dialogue";

const KEYS: readonly (readonly [string, string])[] = [
  ["drag, wheel, pinch", "move and zoom"],
  ["arrow keys", "from cell to cell"],
  ["Shift + arrow keys", "move the map"],
  ["+  −  0", "zoom in, zoom out, whole map"],
  ["[  ]", "earlier layer, later layer"],
  ["g  v", "next grid; icons, real patches or averages"],
  ["/", "find a class"],
  ["b  l  p", "pick cells by a box or a lasso, draw a path; once more to look about again"],
  ["s", "pick the chosen cell, or let it go"],
  ["d", "draw the path on to the chosen cell"],
  ["t  m  o", "table of cells, misunderstandings, other photos"],
  [",  .", "stops of the tour"],
  ["c  x", "two layers side by side; work on the other"],
  ["n", "names of regions on or off"],
  ["a", "ask the network: patch lab on or off"],
  ["Esc", "close the cell, then show the whole map undimmed"],
];

const READING = [
  "The network saw every photo. At places in each photo, what one layer answered was kept: an activation. Activations that are alike lie close together on this map.",
  "Each square is one cell: the average of all activations that fell there. An icon is not a photo. It is one picture, painted so that the layer answers to it as the cell does on average; many others would do. Real patches of photos, where the atlas carries them, stand beside it.",
  "“Identified” means that of all cells of the grid the layer’s answer to the icon is nearest to its own. The cosine says how near: 1 is the same direction.",
  "“Speaks for” is an estimate of what the cell’s activations add to each class. It is an average, and no proof of what the network decides on a single photo.",
];

const READING_OF_VECTORS = [
  "Each photo, or part of one, came with a vector that was made elsewhere. Vectors that are alike lie close together on this map, or where a layout that came with them puts them.",
  "Each square is one cell: the average of all vectors that fell there. No network came with them, so nothing is painted: the picture is the photo whose own vector is nearest to the cell’s average. The other photos of a cell may look otherwise; some stand beside it.",
  "The cosine says how near the picture’s own vector is to the cell’s average: 1 is the same direction. “Identified” means that it is nearer to this cell than to any other.",
];

export class About extends Dialogue {
  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly dispatch: Dispatch,
  ) {
    super(app, { name: site.atlas.title, testid: "about", class: "about" }, dispatch);
  }

  protected override fill(): void {
    const { atlas } = this.site;
    const { used, listed, skipped } = atlas.photos;
    const photos = `${number(used)} photos${skipped > 0 ? ` (${number(listed)} listed, ${number(skipped)} could not be used)` : ""}`;
    const card = el("div", { testid: "atlas-card" });
    this.body.replaceChildren(
      el("p", { class: "origin", text: atlas.origin }),
      el("p", { class: "quiet", text: `${atlas.pictures === "photos" ? "Made of" : "Network"} ${atlas.network}. ${photos}.` }),
      el("h3", { text: "How to read it" }),
      ...(atlas.pictures === "photos" ? READING_OF_VECTORS : READING).map((text) => el("p", { text })),
      card,
      el("h3", { text: "Keys" }),
      el("dl", { class: "keys" }, ...KEYS.flatMap(([keys, what]) => [el("dt", { text: keys }), el("dd", { text: what })])),
      el("p", { class: "quiet", text: "After “Activation Atlas”, Carter, Armstrong, Schubert, Johnson and Olah, Distill 2019. Made with actatlas." }),
    );
    this.site.about().then((about) => card.replaceChildren(...cardOf(about)), telling(this.dispatch));
  }
}

/** The atlas's card: what was done, with what, and how near the icons come. */
function cardOf({ network, photos, layers, settings, versions }: AboutValue): HTMLElement[] {
  const facts: [string, string][] = [
    ["network", network.spec],
    ["sha256 of its weights", network.weights_sha256],
    ["its input", `${network.input_px.join(" × ")} px${network.class_count === null ? "" : `, ${number(network.class_count)} classes`}`],
    ["photos", `${photos.source}: ${number(photos.used)} of ${number(photos.listed)}`],
    ["made with", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ];
  const head = ["layer", "C × H × W", "activations", "grid", "cells", "cosine", "identified"].map((text) => el("th", { text }));
  const rows = layers.flatMap(({ name, shape, activations, grids }) =>
    grids.map(({ side, cells, cosine, identified }) => {
      const figures = [shape.join(" × "), number(activations), `${side} × ${side}`, number(cells), cosine?.toFixed(2) ?? "", identified === null ? "" : percent(identified)];
      return el("tr", {}, el("td", {}, breakable(name)), ...figures.map((text) => el("td", { text })));
    }),
  );
  return [
    el("h3", { text: "How it was made" }),
    el("dl", { class: "keys facts" }, ...facts.flatMap(([name, text]) => [el("dt", { text: name }), el("dd", { text })])),
    el("table", { class: "figures" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
    el(
      "details",
      {},
      el("summary", { text: "Settings" }),
      el("dl", { class: "keys facts" }, ...settings.flatMap(([name = "", value = ""]) => [el("dt", { text: name }), el("dd", { text: value })])),
    ),
  ];
}
