// Which classes somebody may mean by what was typed so far. Pure.

export interface Found {
  readonly index: number;
  /** The name that fits, where it is not the label. */
  readonly called: string | null;
}

/** Case, and what separates words, do not count. */
export function plain(text: string): string {
  return text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
}

export class Names {
  private readonly entries: readonly (readonly string[])[];

  /** others: of each class its further names, such as synonyms and its WordNet id. */
  constructor(
    private readonly labels: readonly string[],
    private readonly others: readonly (readonly string[])[] | null,
  ) {
    this.entries = labels.map((label, i) => [label, ...(others?.[i] ?? [])].map(plain));
  }

  /** The best first: whole names, then beginnings, then beginnings of words, then parts; labels before other names. */
  find(query: string, most: number): Found[] {
    const wanted = plain(query);
    if (wanted === "") return [];
    const found: (Found & { readonly rank: number })[] = [];
    this.entries.forEach((names, index) => {
      let best: { rank: number; at: number } | null = wanted === String(index) ? { rank: 0, at: 0 } : null;
      names.forEach((name, at) => {
        const fit = fits(name, wanted);
        if (fit === null) return;
        const rank = 2 * fit + Math.min(at, 1);
        if (best === null || rank < best.rank) best = { rank, at };
      });
      const chosen = best as { rank: number; at: number } | null;
      if (chosen === null) return;
      found.push({ index, called: chosen.at === 0 ? null : (this.others?.[index]?.[chosen.at - 1] ?? null), rank: chosen.rank });
    });
    return found
      .sort((a, b) => a.rank - b.rank || a.index - b.index)
      .slice(0, most)
      .map(({ index, called }) => ({ index, called }));
  }

  /** The one class that a link's text names: its label, another whole name, or its index; null where none or several do. */
  named(text: string): number | null {
    if (/^\d+$/.test(text)) return Number(text) < this.labels.length ? Number(text) : null;
    const wanted = plain(text);
    for (const names of [this.entries.map((entry) => entry.slice(0, 1)), this.entries]) {
      const all = names.flatMap((entry, index) => (entry.includes(wanted) ? [index] : []));
      if (all.length === 1) return all[0] ?? null;
      if (all.length > 1) return null;
    }
    return null;
  }

  /** What a link calls a class: its label, or its index where two share one. */
  linkOf(index: number): string {
    const label = this.labels[index];
    return label !== undefined && this.named(label) === index && !/^\d+$/.test(label) ? label : String(index);
  }
}

function fits(name: string, wanted: string): number | null {
  if (name === wanted) return 0;
  if (name.startsWith(wanted)) return 1;
  if (` ${name}`.includes(` ${wanted}`)) return 2;
  return wanted.length > 2 && name.includes(wanted) ? 3 : null;
}
