// Every class that a cell speaks for or against, sortable and to be searched. Fetched when asked for: there can be many files.
import { button, el, logit, number, press } from "../dom";
import { messageOf } from "../errors";
import type { LayerValue } from "../format";
import type { Place } from "../places";
import { plain } from "../search";
import type { Site } from "../site";
import { gridOf } from "../state";
import type { Dispatch } from "../store";

const ORDERS = [
  ["for", "most for"],
  ["against", "most against"],
  ["name", "by name"],
] as const;
const SHOWN = 200;

/** A button that becomes the list; null where the site has no numbers for it. */
export function allClasses(site: Site, layer: LayerValue, place: Place, k: number, dispatch: Dispatch): HTMLElement | null {
  const numbers = gridOf(layer, place.side)?.numbers.classes;
  if (!numbers) return null;
  const holder = el("div", { class: "all-classes" });
  const open = button({ class: "wide" }, () => void show(), `All ${number(numbers.count)} classes`);
  const show = async (): Promise<void> => {
    open.disabled = true;
    try {
      const values = await site.row(layer, place.side, "classes", k, (done, all) => {
        open.textContent = all > 1 ? `Reading ${done + 1} of ${all} …` : "Reading …";
      });
      holder.replaceChildren(...list(site, values, dispatch));
    } catch (error) {
      open.disabled = false;
      open.textContent = messageOf(error);
    }
  };
  holder.append(open);
  return holder;
}

function list(site: Site, values: Float32Array, dispatch: Dispatch): HTMLElement[] {
  let order: (typeof ORDERS)[number][0] = "for";
  const filter = el("input", { type: "text", class: "search-input", "aria-label": "Part of a class’s name" });
  filter.placeholder = "Part of a name …";
  const rows = el("ol", { class: "class-table", tabindex: "0", "aria-label": "Classes" });
  const names = Array.from(values.keys(), (index) => site.className(index));
  const fill = (): void => {
    const wanted = plain(filter.value);
    const chosen = Array.from(values.keys()).filter((index) => plain(names[index] ?? "").includes(wanted));
    const sign = order === "against" ? 1 : -1;
    if (order === "name") chosen.sort((a, b) => (names[a] ?? "").localeCompare(names[b] ?? "", "en"));
    else chosen.sort((a, b) => sign * ((values[a] ?? 0) - (values[b] ?? 0)) || a - b);
    rows.replaceChildren(
      ...chosen.slice(0, SHOWN).map((index) =>
        el(
          "li",
          {},
          button({ class: "link", title: "Dim the map by this class" }, () => dispatch({ type: "lens", lens: { kind: "class", index } }), names[index] ?? ""),
          el("span", { class: "class-value", text: logit(values[index] ?? 0) }),
        ),
      ),
    );
    if (chosen.length > SHOWN) rows.append(el("li", { class: "quiet", text: `and ${number(chosen.length - SHOWN)} more; type a part of a name` }));
    press(choice, "order", order);
  };
  const choice = el(
    "div",
    { class: "choice", role: "group", "aria-label": "Order" },
    ...ORDERS.map(([key, text]) => {
      const one = button({}, () => {
        order = key;
        fill();
      }, text);
      one.dataset.order = key;
      return one;
    }),
  );
  filter.addEventListener("input", fill);
  fill();
  return [choice, filter, rows];
}
