// A button that copies the address, in which stands what is shown.
import { button } from "../dom";

const SAID_MS = 1600;

export function linkButton(text: string, title: string, className: string): HTMLElement {
  const one = button({ class: className, title, testid: "copy-link" }, () => {
    const done = (told: string): void => {
      one.textContent = told;
      setTimeout(() => (one.textContent = text), SAID_MS);
    };
    const { clipboard } = navigator as { clipboard?: Clipboard }; // pages that came without encryption have none
    if (clipboard === undefined) return done("It is in the address");
    clipboard.writeText(window.location.href).then(() => done("Copied"), () => done("It is in the address"));
  }, text);
  return one;
}
