/** The results of a bench, as a table for people and as rows for programs. */
export interface BenchRow {
  name: string;
  unit: string;
  ours: number;
  peers: Record<string, number>;
  /** The peer divided by ours. Above 1, ours is faster. */
  ratios: Record<string, number>;
}

export function row(name: string, unit: string, ours: number, peers: Record<string, number> = {}): BenchRow {
  return { name, unit, ours, peers, ratios: Object.fromEntries(Object.entries(peers).map(([peer, value]) => [peer, value / ours])) };
}

/** Prints a table in GitHub's Markdown. */
export function markdownTable(rows: BenchRow[]): string {
  const peers = [...new Set(rows.flatMap((each) => Object.keys(each.peers)))];
  const lines = rows.map(({ name, unit, ours, peers: values, ratios }) => [
    name,
    unit,
    figure(ours),
    ...peers.map((peer) => (values[peer] === undefined ? '' : `${figure(values[peer])} (${(ratios[peer] as number).toFixed(2)} ×)`)),
  ]);
  const all = [['', 'unit', 'ours', ...peers], ['---', '---', '---:', ...peers.map(() => '---:')], ...lines];
  return all.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
