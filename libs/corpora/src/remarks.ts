/** Counts of what an annotation file holds that is no label, by reason. A reason may have words of the file in it. */

/** Further reasons are counted together: a log line stays a line whatever the file holds. */
const mostReasons = 20;
/** A word of a file is cut at this length in a reason. */
const mostLetters = 60;
const others = 'other remarks';

export class Remarks {
  private readonly counts = new Map<string, number>();

  count(reason: string): void {
    const known = this.counts.has(reason) || this.counts.size < mostReasons ? reason : others;
    this.counts.set(known, (this.counts.get(known) ?? 0) + 1);
  }

  toObject(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}

/** A value from a file, for a message: cut, a word in quotes with control characters escaped. */
export function quoted(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(cut(value));
  return cut(JSON.stringify(value) ?? String(value));
}

const cut = (text: string): string => (text.length > mostLetters ? `${text.slice(0, mostLetters)}…` : text);
