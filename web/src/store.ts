// Holds the State: the only thing in the page that changes.
import type { AtlasValue } from "./format";
import { type Action, type State, reduce } from "./state";

export type Dispatch = (action: Action) => void;
type Listener = (state: State, before: State) => void;

export class Store {
  private readonly listeners: Listener[] = [];
  private readonly queue: Action[] = [];
  private isBusy = false;

  constructor(
    readonly atlas: AtlasValue,
    public state: State,
  ) {}

  readonly dispatch: Dispatch = (action) => {
    this.queue.push(action);
    if (this.isBusy) return; // a listener's own action comes after all have seen this one
    this.isBusy = true;
    try {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
        const before = this.state;
        this.state = reduce(before, next, this.atlas);
        if (this.state !== before) for (const listener of this.listeners) listener(this.state, before);
      }
    } finally {
      this.isBusy = false;
    }
  };

  /** Calls `listener` after every change. */
  subscribe(listener: Listener): void {
    this.listeners.push(listener);
  }
}
