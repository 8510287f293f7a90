// The notebook that shows this page in a frame: it hands over files that the page does not hold, and hears what is chosen.
import { type FromPage, GREETING, type ToPage, type Told } from "./notebook-messages";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

class Notebook {
  private readonly waiting = new Map<string, Waiting[]>();
  private readonly port: Promise<MessagePort>;
  private readonly first: Promise<string>;
  private follow: ((address: string) => void) | null = null;
  private last = "";

  constructor() {
    let begin: (address: string) => void;
    this.first = new Promise((resolve) => (begin = resolve));
    this.port = new Promise((resolve) => {
      window.addEventListener("message", (event) => {
        const port = event.ports[0];
        if (event.source !== window.parent || event.data !== GREETING || port === undefined) return;
        port.onmessage = ({ data }: MessageEvent<ToPage>) => (data.kind === "file" ? this.receive(data) : this.follow === null ? begin(data.address) : this.follow(data.address));
        resolve(port);
      });
    });
  }

  /** The address to begin with; from then on `follow` hears of others. */
  async begin(follow: (address: string) => void): Promise<string> {
    const address = await this.first;
    this.follow = follow;
    return address;
  }

  /** A file of the site. It comes when Python has time. */
  ask(path: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const others = this.waiting.get(path);
      if (others !== undefined) return others.push({ resolve, reject });
      this.waiting.set(path, [{ resolve, reject }]);
      return this.send({ kind: "ask", path });
    });
  }

  tell(told: Told): void {
    const text = JSON.stringify(told);
    if (text === this.last) return;
    this.last = text;
    this.send({ kind: "told", ...told });
  }

  private send(message: FromPage): void {
    void this.port.then((port) => port.postMessage(message));
  }

  private receive({ path, value, error }: ToPage & { kind: "file" }): void {
    const waiting = this.waiting.get(path) ?? [];
    this.waiting.delete(path);
    for (const { resolve, reject } of waiting) {
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    }
  }
}

/** Null in a browser's own window, and in a frame whose page holds all. */
export const notebook = document.querySelector('meta[name="actatlas-notebook"]') === null ? null : new Notebook();
