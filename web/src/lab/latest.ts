// One at a time; of what comes meanwhile only the newest. So a dragged patch is followed as fast as answers come.
export class Latest<T> {
  private waiting: { readonly value: T } | null = null;
  private isBusy = false;

  /** `run` says itself what went wrong: it does not reject. */
  constructor(private readonly run: (value: T) => Promise<void>) {}

  push(value: T): void {
    this.waiting = { value };
    if (!this.isBusy) void this.work();
  }

  /** Forget what was not begun yet. */
  clear(): void {
    this.waiting = null;
  }

  /** Nothing newer waits than what is run, or was. */
  get isLast(): boolean {
    return this.waiting === null;
  }

  private async work(): Promise<void> {
    this.isBusy = true;
    try {
      for (let next = this.waiting; next !== null; next = this.waiting) {
        this.waiting = null;
        await this.run(next.value);
      }
    } finally {
      this.isBusy = false;
    }
  }
}
