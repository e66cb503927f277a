/** Counts, by reason, values in an annotation file that are not labels. A reason may quote words of the file. */

/** Further reasons share one count, so that the log line stays short whatever the file holds. */
const mostReasons = 20;
/** Longest quotation of a file's word in a reason. */
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

/** Quotes a value from a file in a message: shortened, with control characters of a word escaped. */
export function quoted(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(cut(value));
  return cut(JSON.stringify(value) ?? String(value));
}

const cut = (text: string): string => (text.length > mostLetters ? `${text.slice(0, mostLetters)}…` : text);
