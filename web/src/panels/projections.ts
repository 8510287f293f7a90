// Second sets of photos on this map: what they reach of each layer, and what the atlas has nothing like.
import { breakable, button, el, plural } from "../dom";
import { showPicture, urlPath } from "../files";
import type { ProjectedLayer, ProjectedPatch, ProjectionValue } from "../format";
import type { Place } from "../places";
import type { Site } from "../site";
import { layerOf } from "../state";
import type { Dispatch } from "../store";
import { cellButton } from "./cell";
import { ListDialogue } from "./dialogue";

const MOST_CELLS = 16;

export class Projections extends ListDialogue<ProjectionValue> {
  constructor(
    app: HTMLElement,
    private readonly site: Site,
    private readonly send: Dispatch,
  ) {
    super(app, { name: "Other photos on this map", testid: "projections", class: "gallery" }, send);
  }

  protected override list(): Promise<readonly ProjectionValue[]> {
    return this.site.projections();
  }

  /** The latest layer first: there photos differ by what is on them. */
  protected override card(one: ProjectionValue): HTMLElement {
    const layers = [...one.layers].reverse().map((layer) => this.ofLayer(one, layer));
    return el("article", { class: "projection" }, el("h3", { text: `${one.name}: ${plural(one.photos, "photo")}` }), ...layers);
  }

  private ofLayer(one: ProjectionValue, layer: ProjectedLayer): HTMLElement {
    const show = (): void => {
      this.send({ type: "dialogue", dialogue: null });
      this.send({ type: "layer", name: layer.layer });
      this.send({ type: "lens", lens: { kind: "reach", projection: one.key } });
    };
    const onMap = layer.grids.length === 0 ? [] : [el("div", { class: "story-buttons" }, button({ class: "wide" }, show, "Show it on the map"))];
    return el(
      "section",
      { class: "projected" },
      el("h4", {}, breakable(layer.layer)),
      ...layer.told.map((text) => el("p", { text })),
      ...onMap,
      ...this.cells("Cells that they hardly reach", layer, layer.unreached),
      ...this.cells("Cells that they reach more often", layer, layer.more),
      ...this.patches("Farthest from all that the atlas has", layer, "far"),
      ...this.patches("From cells that they reach more often", layer, "more"),
    );
  }

  private cells(title: string, { layer, side }: ProjectedLayer, cells: readonly (readonly number[])[]): HTMLElement[] {
    if (cells.length === 0) return [];
    const buttons = cells.slice(0, MOST_CELLS).map(([column = 0, row = 0]) => {
      const cell = { side, column, row };
      const look = { class: "follow-cell", px: 56, title: `cell ${column}, ${row}` };
      return cellButton(layerOf(this.site.atlas, layer), cell, look, () => this.go(layer, cell));
    });
    const more = cells.length > MOST_CELLS ? ` (${MOST_CELLS} of ${cells.length})` : "";
    return [el("h5", { text: `${title}${more}` }), el("div", { class: "follow-cells" }, ...buttons)];
  }

  private patches(title: string, layer: ProjectedLayer, kind: ProjectedPatch["kind"]): HTMLElement[] {
    const chosen = layer.patches.filter((patch) => patch.kind === kind);
    if (chosen.length === 0) return [];
    const pictures = chosen.map((patch) => {
      const image = el("img", { class: "projected-patch" });
      showPicture(image, urlPath(patch.picture));
      image.loading = "lazy";
      image.alt = patch.taken_for === null ? "a new photo" : `of a photo taken for ${patch.taken_for}`;
      const told = `${image.alt}, ${patch.distance.toFixed(2)} from the nearest of the atlas: show where it falls`;
      const place = { side: patch.grid, column: patch.column, row: patch.row };
      return button({ class: "follow-cell", title: told, "aria-label": told }, () => this.go(layer.layer, place), image);
    });
    return [el("h5", { text: title }), el("div", { class: "follow-cells" }, ...pictures)];
  }

  private go(layer: string, cell: Place): void {
    this.send({ type: "dialogue", dialogue: null });
    this.send({ type: "go", layer, cell });
  }
}
