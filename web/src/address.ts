// Keeps the address and the state in step.
import { telling } from "./errors";
import * as here from "./here";
import type { Names } from "./search";
import type { Site } from "./site";
import type { State } from "./state";
import type { Store } from "./store";
import { classInLink, readLink, writeLink } from "./url";

export class Address {
  private names: Names | null = null;
  private isFollowing = false;
  /** Links that wait for the names of the classes: until then the state is of where one was. */
  private waiting = 0;
  /** What one click does is one step back, of however many parts it is. */
  private isWithinStep = false;

  constructor(
    private readonly site: Site,
    private readonly store: Store,
  ) {}

  /** Go where a link says. */
  async follow(hash: string): Promise<void> {
    if (classInLink(hash) !== null) {
      this.waiting += 1;
      await this.loadNames();
      this.waiting -= 1;
    }
    this.isFollowing = true; // the address is where it comes from: no step of its own
    this.store.dispatch({ type: "link", link: readLink(hash, this.names) });
    this.isFollowing = false;
  }

  /** Where one looks is no step to go back to; everything else is, unless it is part of one. */
  write(state: State, before: State | null, isPart = this.isWithinStep): void {
    if (this.waiting > 0) return;
    if (state.lens?.kind === "class" && this.names === null) {
      void this.loadNames().then(() => this.names !== null && this.write(this.store.state, before, isPart));
      return;
    }
    const hash = here.hash();
    const link = writeLink(state, this.names, hash);
    if (link === hash) return;
    const isStep = before !== null && !this.isFollowing && placeless(link) !== placeless(hash);
    here.write(link, isStep && !isPart);
    if (!isStep || isPart) return;
    this.isWithinStep = true;
    queueMicrotask(() => (this.isWithinStep = false));
  }

  private async loadNames(): Promise<void> {
    try {
      this.names = await this.site.names();
    } catch (error) {
      telling(this.store.dispatch)(error);
    }
  }
}

/** Without where one looks: a map may come to rest after one has gone elsewhere. */
function placeless(link: string): string {
  return link.replace(/&at=[^&]*/, "");
}
