// The patch lab: a photo, a patch on it, and what the network makes of both; which cells a photo lights up; better icons.
import { button, closeButton, el, percent } from "../dom";
import { messageOf } from "../errors";
import type { LabPlace, LabStatus } from "../format";
import { isFramed } from "../here";
import { Bars } from "../lab/bars";
import { Board } from "../lab/board";
import type { LabClient, PhotoName } from "../lab/client";
import { BetterIcon } from "../lab/icon";
import { Latest } from "../lab/latest";
import { Patches } from "../lab/patches";
import { type PhotoChoice, Photos, fileButton } from "../lab/photos";
import { type PatchChoice, decoded } from "../lab/pictures";
import { FIRST_PLACE, LEAST_SIDE, settled } from "../lab/place";
import type { Site } from "../site";
import { type State, layerOf } from "../state";
import type { Dispatch } from "../store";

const NOBODY = [
  "The lab asks the network itself, and nobody is here to ask it: this page is a copy that needs no more than a browser.",
  "To open the lab, show the atlas with actatlas on your own machine, with its build extras:",
];
const COMMANDS = 'pip install "actatlas[build]"\nactatlas view DIR';

interface Bench {
  readonly sight: { readonly width: number; readonly height: number };
  readonly board: Board;
  readonly bars: Bars;
  readonly photos: Photos;
  readonly patches: Patches;
  readonly icon: BetterIcon;
}

export class LabPanel {
  readonly element = el("section", { class: "lab", testid: "lab", "aria-label": "Patch lab", tabindex: "-1" });
  private readonly body = el("div", { class: "inspector-body lab-body" });
  private readonly top = el("div", { class: "lab-top" });
  private readonly problem = el("p", { class: "lab-problem", role: "alert" });
  private readonly size = el("input", { type: "range", "aria-label": "Size of the patch", testid: "lab-size" });
  private readonly sizeText = el("span", { class: "class-value" });
  private readonly controls = el("div", { class: "lab-controls" });
  private readonly lightsButton = button({ class: "outlined", testid: "lab-lights" }, () => this.light(), "Which cells does it light up?");
  private readonly asked = new Latest<void>(() => this.predict());
  private bench: Bench | null = null;
  private isOpening = false;
  /** A photo that was dropped on the map before the lab was open. */
  private dropped: File | null = null;
  private photo: PhotoChoice | null = null;
  private patch: PatchChoice | null = null;
  private place: LabPlace = FIRST_PLACE;
  /** The photo as the network sees it without a patch, and which photo that is. */
  private plain: ImageBitmap | null = null;
  private plainOf: PhotoName | null = null;
  private cell = "";
  /** What had the focus before, and has it again afterwards. */
  private opener: HTMLElement | null = null;

  constructor(
    stage: HTMLElement,
    private readonly site: Site,
    private readonly client: LabClient | null,
    private readonly dispatch: Dispatch,
  ) {
    const close = closeButton("Close", "Close (a)", () => dispatch({ type: "lab", isOpen: false }));
    this.element.append(el("header", { class: "inspector-head" }, el("h2", { text: "Patch lab" }), close), this.problem, this.top, this.body);
    this.top.hidden = true;
    this.element.hidden = true;
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      dispatch({ type: "lab", isOpen: false });
      event.stopPropagation();
    });
    this.makeControls();
    this.listenToDrops();
    stage.before(this.element); // the map makes room for it
  }

  update(state: State): void {
    const wasOpen = !this.element.hidden;
    if (!state.isLabOpen && this.element.contains(document.activeElement)) this.opener?.focus();
    this.element.hidden = !state.isLabOpen;
    document.documentElement.classList.toggle("has-lab", state.isLabOpen);
    if (!state.isLabOpen) {
      if (wasOpen) this.cell = "";
      return;
    }
    if (!wasOpen) {
      this.opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
      this.element.focus({ preventScroll: true });
      void this.open(state);
    }
    this.updateCell(state);
  }

  // --- opening

  /** What kept it closed may be gone: the build has ended. */
  openLate(state: State): void {
    if (state.isLabOpen) void this.open(state);
  }

  private async open(state: State): Promise<void> {
    if (this.bench !== null || this.isOpening) return;
    if (this.client === null) {
      return this.body.replaceChildren(...NOBODY.map((text) => el("p", { text })), el("pre", { class: "lab-commands", text: COMMANDS }));
    }
    this.isOpening = true;
    this.body.replaceChildren(el("p", { class: "quiet", role: "status", text: "Loading the network …" }));
    try {
      const status = await this.client.ask("status", {});
      if (status.closed !== null || status.input_px === null) this.close(status.closed ?? "");
      else this.build(this.client, status, state);
    } catch (error) {
      this.close(messageOf(error));
    } finally {
      this.isOpening = false;
    }
  }

  private close(why: string): void {
    const again = button({ class: "outlined" }, () => this.dispatch({ type: "lab", isOpen: false }), "Close");
    this.body.replaceChildren(el("p", { testid: "lab-closed", text: `The lab is closed: ${why}.`.replace(/\.\.$/, ".") }), again);
  }

  private build(client: LabClient, status: LabStatus, state: State): void {
    const [height = 1, width = 1] = status.input_px ?? [];
    const failed = (error: unknown) => this.fail(error);
    const bench: Bench = {
      sight: { width, height },
      board: new Board({ width, height }, { placed: (place) => this.moveTo(place), removed: () => this.take(null, null) }),
      bars: new Bars(),
      photos: new Photos(client, (photo) => this.look(photo), failed),
      patches: new Patches(client, {
        chosen: (patch, place) => this.take(patch, place),
        photo: () => this.photo?.ask ?? null,
        failed,
      }),
      icon: new BetterIcon(client, (patch) => this.take(patch, null), failed, status.without.icon ?? null),
    };
    this.bench = bench;
    this.lightsButton.disabled = status.without.lights !== undefined;
    const ownPhoto = fileButton("Your own photo …", "lab-own-photo", (file) => void this.givePhoto(file));
    const choice = status.photos > 0 ? [bench.photos.element] : [el("p", { class: "note", text: `${status.without.photos ?? "The atlas carries no photos"}.` })];
    this.top.replaceChildren(el("div", {}, bench.board.element, this.controls), bench.bars.element);
    this.top.hidden = false;
    this.body.replaceChildren(
      section("Photo", ...choice, el("div", { class: "lab-buttons" }, ownPhoto, this.lightsButton), el("p", { class: "note", text: status.without.lights ?? "Or drop a picture here." })),
      section("Patch", bench.patches.element),
      section("Icon", bench.icon.element),
    );
    bench.bars.clear("Choose a photo, or drop one here.");
    this.showControls();
    this.cell = "";
    this.updateCell(state);
    if (status.photos > 0) void bench.photos.find();
    if (this.dropped !== null) void this.givePhoto(this.dropped, true);
    this.dropped = null;
  }

  private makeControls(): void {
    Object.assign(this.size, { min: String(LEAST_SIDE), max: "1", step: "0.01" });
    this.size.addEventListener("input", () => this.resize(Number(this.size.value)));
    this.controls.append(
      el("label", { class: "lab-size" }, "Size", this.size, this.sizeText),
      button({ class: "plain", "aria-label": "Smaller patch", title: "Smaller (−)" }, () => this.resize(this.place.side - 0.05), "−"),
      button({ class: "plain", "aria-label": "Larger patch", title: "Larger (+)" }, () => this.resize(this.place.side + 0.05), "+"),
      button({ class: "plain", "aria-label": "Take the patch away", title: "Take the patch away (Delete)", testid: "lab-remove" }, () => this.take(null, null), "✕"),
    );
  }

  private listenToDrops(): void {
    const { element } = this;
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("is-target");
    });
    element.addEventListener("dragleave", (event) => {
      if (!(event.relatedTarget instanceof Node && element.contains(event.relatedTarget))) element.classList.remove("is-target");
    });
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("is-target");
      const file = event.dataTransfer?.files[0];
      if (!file || this.bench === null) return;
      const isPatch = event.target instanceof Node && this.bench.patches.element.contains(event.target);
      void (isPatch ? this.bench.patches.give(file) : this.givePhoto(file));
    });
    if (isFramed) return;
    // Anywhere else: the browser would leave the page for the photo.
    document.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (event.defaultPrevented || !file) return;
      event.preventDefault();
      if (this.bench === null) this.dropped = file;
      else void this.givePhoto(file, true);
      this.dispatch({ type: "lab", isOpen: true });
    });
  }

  // --- what the reader does

  /** isForMap: the map shows which cells it lights up. */
  private async givePhoto(file: File, isForMap = false): Promise<void> {
    if (this.client === null) return;
    try {
      const { key } = await this.client.give(file);
      this.look({ ask: { key }, name: "your photo" });
      if (isForMap && !this.lightsButton.disabled) this.light();
    } catch (error) {
      this.fail(error);
    }
  }

  private look(photo: PhotoChoice): void {
    if (this.bench === null) return;
    this.photo = photo;
    this.plain = null;
    this.plainOf = null;
    this.problem.textContent = "";
    this.bench.photos.press(photo.ask);
    this.bench.patches.forget();
    this.bench.board.show(null);
    this.bench.bars.clear("Looking …");
    this.ask();
  }

  /** place: null leaves the patch where it is, or was. */
  private take(patch: PatchChoice | null, place: LabPlace | null): void {
    if (this.bench === null) return;
    this.patch = patch;
    this.problem.textContent = "";
    this.place = patch === null ? this.place : settled(place ?? this.place, patch.aspect, this.bench.sight);
    this.bench.board.show(this.plain);
    this.bench.board.put(patch, this.place);
    this.showControls();
    if (patch === null) this.element.focus({ preventScroll: true }); // what had the focus may be gone
    else this.bench.board.focus();
    this.ask();
  }

  private resize(side: number): void {
    if (this.bench === null || this.patch === null) return;
    this.moveTo(settled({ ...this.place, side }, this.patch.aspect, this.bench.sight));
    this.bench.board.show(this.plain);
    this.bench.board.put(this.patch, this.place);
  }

  private moveTo(place: LabPlace): void {
    this.place = place;
    this.showControls();
    this.ask();
  }

  private showControls(): void {
    this.controls.hidden = this.patch === null;
    this.size.value = String(this.place.side);
    this.sizeText.textContent = percent(this.place.side);
  }

  private light(): void {
    if (this.photo === null) return;
    this.dispatch({ type: "lens", lens: { kind: "lights", photo: JSON.stringify(this.photo.ask), name: this.photo.name } });
    if (window.matchMedia("(max-width: 800px)").matches) this.dispatch({ type: "lab", isOpen: false }); // it lies over the map
  }

  // --- what the network says

  private ask(): void {
    delete this.element.dataset.ready;
    this.asked.push();
  }

  private async predict(): Promise<void> {
    await this.predictOnce();
    if (this.asked.isLast) this.element.dataset.ready = ""; // for scripts: what is shown is about what is chosen
  }

  private async predictOnce(): Promise<void> {
    const { bench, photo, patch, place, client } = this;
    if (bench === null || photo === null || client === null) return;
    try {
      if (this.plainOf !== photo.ask) {
        const told = await client.ask("predict", { photo: photo.ask });
        const picture = await decoded(told.picture);
        if (this.photo !== photo) return;
        this.plain = picture;
        this.plainOf = photo.ask;
        bench.board.show(picture);
        bench.bars.show(told, patch === null && this.asked.isLast);
        if (patch === null) return;
      }
      const told = await client.ask("predict", patch === null ? { photo: photo.ask } : { photo: photo.ask, patch: patch.ask, place });
      const picture = await decoded(told.picture);
      if (this.photo !== photo || this.patch !== patch) return; // about something else by now
      bench.bars.show(told, this.asked.isLast);
      // While it is dragged on, the page's own picture is nearer to the truth.
      if (patch !== null && this.place === place) bench.board.showExact(picture);
    } catch (error) {
      if (this.photo === photo && this.patch === patch) this.fail(error);
    }
  }

  /** The selected cell has patches and an icon to offer. */
  private updateCell(state: State): void {
    const { bench } = this;
    const key = state.cell === null ? "none" : JSON.stringify([state.layer, state.cell]);
    if (bench === null || key === this.cell) return;
    this.cell = key;
    const { cell } = state;
    bench.patches.showCell(null, null);
    bench.icon.showCell(null, null);
    if (cell === null) return;
    const layer = layerOf(this.site.atlas, state.layer);
    this.site.cells(layer, cell.side).then((table) => {
      const found = table.at(cell.column, cell.row);
      if (key !== this.cell || found === null) return;
      bench.patches.showCell(layer, found);
      bench.icon.showCell(layer, cell);
    }, (error: unknown) => this.fail(error));
  }

  private fail(error: unknown): void {
    this.problem.textContent = messageOf(error);
    if (this.plainOf !== this.photo?.ask) this.bench?.bars.clear("");
  }
}

function section(title: string, ...parts: Node[]): HTMLElement {
  return el("section", {}, el("h3", { text: title }), ...parts);
}

