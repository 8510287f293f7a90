// Where the atlas came from, how to read it, which keys there are.
import { el, number } from "../dom";
import type { AtlasValue } from "../format";
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
  ["t  m", "table of cells, misunderstandings"],
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

export class About extends Dialogue {
  constructor(
    app: HTMLElement,
    private readonly atlas: AtlasValue,
    dispatch: Dispatch,
  ) {
    super(app, { name: atlas.title, testid: "about", class: "about" }, dispatch);
  }

  protected override fill(): void {
    const { used, listed, skipped } = this.atlas.photos;
    const photos = `${number(used)} photos${skipped > 0 ? ` (${number(listed)} listed, ${number(skipped)} could not be used)` : ""}`;
    this.body.replaceChildren(
      el("p", { class: "origin", text: this.atlas.origin }),
      el("p", { class: "quiet", text: `Network ${this.atlas.network}. ${photos}.` }),
      el("h3", { text: "How to read it" }),
      ...READING.map((text) => el("p", { text })),
      el("h3", { text: "Keys" }),
      el("dl", { class: "keys" }, ...KEYS.flatMap(([keys, what]) => [el("dt", { text: keys }), el("dd", { text: what })])),
      el("p", { class: "quiet", text: "After “Activation Atlas”, Carter, Armstrong, Schubert, Johnson and Olah, Distill 2019. Made with actatlas." }),
    );
  }
}
