// What a comparison of two networks says of a cell of the map of both.
import type { Cell } from "../cells";
import { el, percent } from "../dom";
import type { AtlasValue } from "../format";

type Compared = NonNullable<Cell["compared"]>;

type Change = NonNullable<Compared["change"]>;

const CHANGES: Record<Change, string> = { vanishes: "vanishes", appears: "appears", class: "other class" };

/** One line for the card; null where nothing is compared. */
export function comparedLine(cell: Cell): HTMLElement | null {
  if (cell.compared === null) return null;
  const { change, overlap } = cell.compared;
  const badge = change === null ? [] : [el("span", { class: "badge is-mistaken", text: CHANGES[change] })];
  return el("p", { class: "fidelity", testid: "compared" }, el("span", { text: `${percent(overlap)} the same neighbours` }), ...badge);
}

/** Its numbers for the inspector. */
export function comparedValues(atlas: AtlasValue, compared: Compared): HTMLElement {
  const [first, second] = atlas.layers.map((layer) => layer.name.split(":")[0] ?? layer.name);
  const rows: [string, string][] = [
    ["the same neighbours in both", percent(compared.overlap)],
    [`of what ${first} holds together, ${second} keeps`, percent(compared.kept_of_first)],
    [`of what ${second} holds together, ${first} keeps`, percent(compared.kept_of_second)],
  ];
  if (compared.vanishing > 0) rows.push(["of cells that vanish", percent(compared.vanishing)]);
  if (compared.appearing > 0) rows.push(["of cells that appear", percent(compared.appearing)]);
  const { first_class: before, second_class: after, cka, cka_error: error } = compared;
  if (before !== null && before === after) rows.push(["speaks most for, in both", before]);
  else if (before !== null && after !== null) rows.push([`speaks most for, in ${first}`, before], [`speaks most for, in ${second}`, after]);
  if (cka !== null) rows.push(["its region’s CKA", error === null ? cka.toFixed(2) : `${cka.toFixed(2)} ± ${error.toFixed(2)}`]);
  return el("ul", { class: "values" }, ...rows.map(([name, value]) => el("li", {}, el("span", { text: name }), el("span", { class: "quiet", text: value }))));
}

const TOLD: Record<Change, string> = {
  vanishes: "Vanishes: most of it is of cells that hold together in the first network, and less than half as well in the second.",
  appears: "Appears: most of it is of cells that hold together in the second network, and less than half as well in the first.",
  class: "Other class: both hold it together, and speak for different classes most, clearly so.",
};

export function comparedNote({ change }: Compared): string {
  return change === null ? "No change that chance would not explain." : TOLD[change];
}
