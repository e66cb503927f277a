/** Compares the bench's rows with the targets of issue 5 for a training step. */
import type { BenchRow } from './table.js';

interface Target {
  what: string;
  /** Tells if the target applies to a row, by its name and unit. */
  appliesTo: (row: BenchRow) => boolean;
  /** The peers to compare with. Ours is divided by the lowest measured figure of these. */
  peers: string[];
  /** The largest allowed ratio of ours to theirs; without peers, the largest allowed value of ours. */
  atMost: number;
}

const pytorch = ['PyTorch eager', 'PyTorch channels_last'];
const isPhases = ({ name }: BenchRow): boolean => name.startsWith('three phases');
const isJoint = ({ name }: BenchRow): boolean => name.startsWith('joint');

const targets: Target[] = [
  { what: 'time of PyTorch channels_last', appliesTo: isPhases, peers: ['PyTorch channels_last'], atMost: 0.65 },
  { what: 'time of TensorFlow graph', appliesTo: isPhases, peers: ['TensorFlow graph'], atMost: 0.95 },
  { what: 'time of the faster PyTorch', appliesTo: isJoint, peers: pytorch, atMost: 0.85 },
  { what: 'memory of the smaller PyTorch', appliesTo: ({ name }) => name.startsWith('peak resident'), peers: pytorch, atMost: 1.1 },
  { what: 'time of the bare step', appliesTo: ({ name }) => name.startsWith("the service's loop"), peers: ['bare step'], atMost: 1.05 },
  { what: 'waiting, % of the time', appliesTo: ({ name }) => name.startsWith('of that, waiting'), peers: [], atMost: 5 },
];

/** Prints a line for each target and matching row. It leaves out peers that were not measured. */
export function targetsTable(rows: readonly BenchRow[]): string {
  const lines = rows.flatMap((row, index) =>
    targets.filter(({ appliesTo }) => appliesTo(row)).flatMap((target) => targetLine(target, row, workloadOf(rows, index))),
  );
  return ['| | wanted at most | measured | |', '| --- | ---: | ---: | --- |', ...lines].join('\n');
}

/** The row of memory follows the row of its workload's time. */
function workloadOf(rows: readonly BenchRow[], index: number): string {
  const row = rows[index] as BenchRow;
  return row.name.startsWith('peak resident') ? (rows[index - 1]?.name ?? '') : row.name;
}

function targetLine({ what, peers, atMost }: Target, { ours, peers: measured }: BenchRow, workload: string): string[] {
  const theirs = peers.flatMap((peer) => measured[peer] ?? []);
  if (peers.length > 0 && theirs.length === 0) return [];
  const share = peers.length === 0 ? ours : ours / Math.min(...theirs);
  return [`| ${workload}: ${what} | ${atMost.toFixed(2)} | ${share.toFixed(3)} | ${share <= atMost ? 'met' : '**missed**'} |`];
}
