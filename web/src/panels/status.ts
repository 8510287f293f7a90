// The line under the map: what went wrong, or what is on it.
import { el, number } from "../dom";
import type { AtlasValue, LayerValue } from "../format";
import { type State, gridOf, layerOf } from "../state";

const SAID: Record<State["evidence"], string> = {
  icons: "icons are painted, not photographed",
  patches: "real patches, the nearest to each cell’s mean",
  average: "averages of each cell’s real patches",
};

export function updateStatus(line: HTMLElement, atlas: AtlasValue, state: State): void {
  const grid = gridOf(layerOf(atlas, state.layer), state.shown);
  line.classList.toggle("is-problem", state.message !== "");
  if (state.message !== "") line.textContent = state.message;
  else if (grid === null) line.textContent = `${state.layer} has no grid yet.`;
  else {
    const said = atlas.pictures === "photos" && state.evidence === "icons" ? SAID.patches : SAID[grid.view_px === null ? "icons" : state.evidence];
    const painted = grid.painted < grid.cells ? `, ${number(grid.painted)} painted so far` : "";
    const place = el("span", { class: "status-place", text: `${state.layer} · ${grid.side} × ${grid.side} · ` });
    line.replaceChildren(place, `${number(grid.cells)} cells${painted} · ${said}`, ...axes(atlas, layerOf(atlas, state.layer)));
  }
}

/** Of a map between two classes what its edges say, for whoever does not see them. */
function axes(atlas: AtlasValue, { ends }: LayerValue): HTMLElement[] {
  if (ends === undefined) return [];
  const [left, right] = ends.map((index) => atlas.labels?.[index] ?? `class ${index}`);
  return [el("span", { class: "spoken", text: `. Left: speaks for ${left}; right: for ${right}; similar activations at similar heights.` })];
}
