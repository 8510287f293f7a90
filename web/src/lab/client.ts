// Asks the server that shows this page. Only a page that `actatlas view` serves holds the word that it wants to hear.
import type { LabAnswers, LabLights, LabPicture } from "../format";

export type Question = Exclude<keyof LabAnswers, "picture">;
export type PhotoName = { readonly id: number } | { readonly key: string };

const MOST_BYTES = 64 * 2 ** 20;
const MOST_LIGHTS = 16;

export class LabClient {
  private readonly lit = new Map<string, Promise<LabLights>>();

  private constructor(private readonly token: string) {}

  /** Null where nobody is there to be asked. */
  static ofPage(): LabClient | null {
    const token = document.querySelector<HTMLMetaElement>('meta[name="actatlas-lab"]')?.content;
    return token ? new LabClient(token) : null;
  }

  ask<Q extends Question>(question: Q, asked: object): Promise<LabAnswers[Q]> {
    return this.post(question, JSON.stringify(asked)) as Promise<LabAnswers[Q]>;
  }

  async give(file: Blob): Promise<LabPicture> {
    if (file.size > MOST_BYTES) throw new Error("This file has more than 64 MB.");
    return (await this.post("picture", file)) as LabPicture;
  }

  /** Which cells a photo lights up, on the grids of a side. */
  lights(photo: PhotoName, side: number): Promise<LabLights> {
    const key = JSON.stringify([photo, side]);
    const known = this.lit.get(key);
    if (known) return known;
    const asked = this.ask("lights", { photo, side });
    this.lit.set(key, asked);
    asked.catch(() => this.lit.delete(key));
    const oldest = this.lit.keys().next().value;
    if (this.lit.size > MOST_LIGHTS && oldest !== undefined) this.lit.delete(oldest);
    return asked;
  }

  private async post(name: string, body: string | Blob): Promise<unknown> {
    let response: Response;
    try {
      response = await fetch(`lab/${name}`, { method: "POST", headers: { "X-Actatlas-Token": this.token }, body });
    } catch {
      throw new Error("The lab does not answer. Is actatlas view still running? Start it again, and load this page again.");
    }
    const answer = (await response.json()) as { error?: string };
    if (!response.ok) throw new Error(answer.error ?? `The lab answered ${response.status}.`);
    return answer;
  }
}
