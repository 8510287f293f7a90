// Elements with their text as text: nothing here, and nothing in panels/, parses HTML.

export interface Attributes {
  readonly class?: string;
  readonly text?: string;
  readonly testid?: string;
  readonly title?: string;
  readonly [name: `aria-${string}`]: string;
  readonly role?: string;
  readonly type?: string;
  readonly tabindex?: string;
  readonly id?: string;
}

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes) as [string, string][]) {
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "testid") element.dataset.testid = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function button(attributes: Attributes, onClick: () => void, ...children: (Node | string)[]): HTMLButtonElement {
  const element = el("button", { type: "button", ...attributes }, ...children);
  element.addEventListener("click", onClick);
  return element;
}

/** The button that puts a part of the page away. */
export function closeButton(label: string, title: string, onClick: () => void): HTMLButtonElement {
  return button({ class: "plain", "aria-label": label, title }, onClick, "✕");
}

/** Of buttons that carry a data-`key`, the one with that value is pressed. */
export function press(holder: HTMLElement, key: string, value: string): void {
  for (const one of holder.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.dataset[key] === value));
}

/** A bar that fills a share of its track. */
export function track(share: number, bar = "bar", attributes: Attributes = {}): HTMLElement {
  const filled = el("span", { class: bar });
  filled.style.width = `${100 * share}%`;
  return el("span", { class: "track", ...attributes }, filled);
}

/** A square canvas of `css` pixels, sharp on dense screens. */
export function square(css: number, attributes: Attributes = {}): HTMLCanvasElement {
  const canvas = el("canvas", attributes);
  canvas.width = canvas.height = css * Math.min(Math.ceil(window.devicePixelRatio || 1), 2);
  return canvas;
}

/** Gives the reader a file. */
export function download(data: Blob, name: string): void {
  const link = el("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A dotted name that may break after a dot. */
export function breakable(name: string, attributes: Attributes = {}): HTMLElement {
  const parts = name.split(/(?<=[._])/).flatMap((part) => [part, document.createElement("wbr")]);
  return el("span", attributes, ...parts);
}

export function number(value: number): string {
  return value.toLocaleString("en-GB");
}

export function plural(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** How near an icon comes to its own cell: how many others its answer is nearer to. */
export function rankWords(rank: number): string {
  return rank === 0 ? "identified" : `${plural(rank, "cell")} nearer`;
}

/** So many digits behind the point, and no sign before what is nought then. */
export function fixed(value: number, digits: number): string {
  return signed(value, Math.abs(value).toFixed(digits));
}

/** Two digits behind the point; small values keep two digits that say something. */
export function logit(value: number): string {
  const size = Math.abs(value);
  return signed(value, size >= 0.1 || size < 1e-6 ? size.toFixed(2) : size.toPrecision(2));
}

function signed(value: number, size: string): string {
  return value < 0 && Number(size) !== 0 ? `−${size}` : size;
}

export function percent(share: number): string {
  if (share > 0 && share < 0.005) return "<1%";
  return share < 1 && share >= 0.995 ? ">99%" : `${Math.round(100 * share)}%`;
}
