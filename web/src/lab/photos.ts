// The atlas's photos to choose from, and a photo of the reader's own.
import { button, el, plural } from "../dom";
import type { LabPhoto } from "../format";
import type { LabClient, PhotoName } from "./client";
import { thumbnail } from "./pictures";

const PAGE = 24;
const WAIT_MS = 200; // after the last letter
const THUMBNAIL_PX = 64;

export interface PhotoChoice {
  readonly ask: PhotoName;
  readonly name: string;
}

export class Photos {
  readonly element = el("div", { class: "lab-photos" });
  private readonly query = el("input", { type: "search", class: "lab-query", testid: "lab-query", "aria-label": "Find photos by what they show" });
  private readonly strip = el("div", { class: "lab-strip", testid: "lab-photos", role: "group", "aria-label": "Photos of the atlas" });
  private readonly count = el("p", { class: "quiet lab-count" });
  private asked = "";
  private isFirst = true;
  private timer: number | undefined;

  constructor(
    private readonly client: LabClient,
    private readonly chosen: (photo: PhotoChoice) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    this.query.placeholder = "Find photos …";
    this.query.addEventListener("input", () => {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.find(), WAIT_MS);
    });
    this.element.append(this.query, this.count, this.strip);
  }

  /** The first page of what the query fits; the very first photo is chosen, so that there is something to see. */
  async find(): Promise<void> {
    const query = this.query.value.trim();
    this.asked = query;
    try {
      const found = await this.client.ask("photos", { from: 0, count: PAGE, query });
      if (this.asked !== query) return; // it asks for others by now
      this.count.textContent = plural(found.total, "photo") + (query === "" ? "" : " found");
      this.strip.replaceChildren();
      await this.append(found.photos, found.total, query);
    } catch (error) {
      this.failed(error);
    }
  }

  /** One is chosen: the first of those that are found is not chosen in its place. */
  press(ask: PhotoName): void {
    this.isFirst = false;
    for (const one of this.strip.querySelectorAll<HTMLElement>("[data-photo]")) {
      one.setAttribute("aria-pressed", String("id" in ask && one.dataset.photo === String(ask.id)));
    }
  }

  private async append(photos: readonly LabPhoto[], total: number, query: string): Promise<void> {
    const items = await Promise.all(photos.map((photo) => this.item(photo)));
    if (this.asked !== query) return;
    this.strip.querySelector(".lab-more")?.remove();
    this.strip.append(...items);
    const count = this.strip.childElementCount;
    if (count < total) {
      const more = button({ class: "lab-more plain" }, () => void this.more(count, query), "more");
      this.strip.append(more);
    }
    const [first] = items;
    if (this.isFirst && first !== undefined) first.click();
    this.isFirst = false;
  }

  private async more(from: number, query: string): Promise<void> {
    try {
      const found = await this.client.ask("photos", { from, count: PAGE, query });
      if (this.asked === query) await this.append(found.photos, found.total, query);
    } catch (error) {
      this.failed(error);
    }
  }

  private async item(photo: LabPhoto): Promise<HTMLButtonElement> {
    const label = photo.columns.label || photo.taken_for;
    const name = label ? `photo ${photo.id}, ${label}` : `photo ${photo.id}`;
    const picture = photo.thumbnail === null ? el("span", { class: "quiet", text: "gone" }) : await thumbnail(photo.thumbnail, THUMBNAIL_PX, "");
    picture.setAttribute("aria-hidden", "true");
    const choose = () => {
      this.press({ id: photo.id });
      this.chosen({ ask: { id: photo.id }, name });
    };
    const one = button({ title: name, "aria-label": name, "aria-pressed": "false" }, choose, picture);
    one.dataset.photo = String(photo.id);
    one.disabled = photo.thumbnail === null;
    return one;
  }
}

/** A button that lets the reader choose a picture file. */
export function fileButton(text: string, testid: string, given: (file: File) => void): HTMLElement {
  const input = el("input", { type: "file", testid, "aria-label": text });
  input.accept = "image/jpeg,image/png,image/webp,image/bmp,image/gif,image/tiff";
  input.hidden = true;
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) given(file);
    input.value = ""; // the same file may be given again
  });
  return el("span", {}, input, button({ class: "outlined" }, () => input.click(), text));
}
