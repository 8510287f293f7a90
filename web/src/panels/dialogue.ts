// A dialogue over the page: a title, a body that is filled when it opens, and what closes it.
import { closeButton, el } from "../dom";
import { messageOf } from "../errors";
import type { Dispatch } from "../store";

export interface DialogueLook {
  readonly name: string;
  readonly testid: string;
  readonly class: string;
}

export abstract class Dialogue {
  protected readonly body = el("div", { class: "dialogue-body", tabindex: "0" });
  private readonly dialog: HTMLDialogElement;

  constructor(app: HTMLElement, look: DialogueLook, dispatch: Dispatch) {
    const close = (): void => dispatch({ type: "dialogue", dialogue: null });
    this.dialog = el(
      "dialog",
      { class: `dialogue ${look.class}`, "aria-label": look.name, testid: look.testid },
      el("header", { class: "inspector-head" }, el("h2", { text: look.name }), closeButton("Close", "Close (Esc)", close)),
      this.body,
    );
    this.dialog.addEventListener("close", close);
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it, on the backdrop
    });
    app.append(this.dialog);
  }

  update(isOpen: boolean): void {
    if (isOpen && !this.dialog.open) {
      this.fill();
      this.dialog.showModal();
    }
    if (!isOpen && this.dialog.open) this.dialog.close();
  }

  /** Called before it opens. */
  protected abstract fill(): void;
}

/** A dialogue of what a file lists: fetched when it is first opened, a card each. */
export abstract class ListDialogue<T> extends Dialogue {
  private isFilled = false;

  protected override fill(): void {
    if (this.isFilled) return;
    this.isFilled = true;
    this.list().then(
      (found) => this.body.append(...found.map((one) => this.card(one))),
      (error: unknown) => this.body.append(el("p", { class: "remarks", text: messageOf(error) })),
    );
  }

  protected abstract list(): Promise<readonly T[]>;

  protected abstract card(one: T): HTMLElement;
}
