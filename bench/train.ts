/**
 * Measures one training step at the paper's sizes: ours, PyTorch eager and channels_last, and TensorFlow's graph mode. Each has
 * two threads and a process of its own, and they run in turns in one run.
 *
 *   npm run bench -- train [--rounds 3] [--steps 4] [--json FILE] [--results docs/results-training.md]
 *
 * PyTorch runs in the Python of BENCH_PYTHON, TensorFlow in that of BENCH_TF_PYTHON (tensorflow-cpu 2.15.1 needs Python 3.11 and
 * numpy before 2). A missing peer is named and left out.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Peer, startPeer } from './peer.js';
import { type BenchRow, markdownTable, median, row } from './table.js';
import type { StepTimes } from './train-ours.js';
import { targetsTable } from './train-targets.js';

const THREADS = '2';
/** The interval of checkpoints in the trainer's default settings. */
const CHECKPOINT_STEPS = 100;

interface Workload {
  name: string;
  update: 'phases' | 'joint';
  labelled: number;
  unlabelled: number;
}

const workloads: Workload[] = [
  { name: 'three phases, 16 labelled and 16 unlabelled tiles', update: 'phases', labelled: 16, unlabelled: 16 },
  { name: 'three phases, 32 and 32', update: 'phases', labelled: 32, unlabelled: 32 },
  { name: 'joint, 16 and 16', update: 'joint', labelled: 16, unlabelled: 16 },
];

interface Contender {
  name: string;
  start(): Peer;
}

interface Measured {
  seconds: number[];
  peakMiB: number;
}

export async function benchTrain(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '3' },
      steps: { type: 'string', default: '4' },
      json: { type: 'string' },
      results: { type: 'string' },
    },
  });
  const versions = await versionsOf(contenders());
  const present = contenders().filter(({ name }) => versions.has(name));
  const rows: BenchRow[] = [];
  for (const workload of workloads) {
    const measured = await inTurns(present, workload, { rounds: Number(values.rounds), steps: Number(values.steps) });
    const [ours, ...peers] = [...measured];
    if (!ours) throw new Error('ours did not run');
    const byPeer = (value: (each: Measured) => number) => Object.fromEntries(peers.map(([name, each]) => [name, value(each)]));
    rows.push(
      row(
        workload.name,
        'ms a step',
        1000 * median(ours[1].seconds),
        byPeer(({ seconds }) => 1000 * median(seconds)),
      ),
    );
    rows.push(
      row(
        'peak resident',
        'MiB',
        ours[1].peakMiB,
        byPeer(({ peakMiB }) => peakMiB),
      ),
    );
  }
  rows.push(...(await loopRows({ rounds: Number(values.rounds), steps: 3 * Number(values.steps) })));
  console.log(`${markdownTable(rows)}\n\n${targetsTable(rows)}`);
  if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (values.results) writeFileSync(values.results, resultsPage(rows, versions));
}

/** Compares the service's loop (shards on disk, reports, checkpoints) with the bare step, each in its own process. */
async function loopRows({ rounds, steps }: { rounds: number; steps: number }): Promise<BenchRow[]> {
  const order = { update: 'phases', labelled: 16, unlabelled: 16, steps };
  const [bare, loop] = [ours().start(), ours().start()];
  const times = { bare: [] as StepTimes[], loop: [] as StepTimes[] };
  for (let round = 0; round < rounds; round++) {
    times.bare.push((await bare.ask(JSON.stringify(order))) as StepTimes);
    times.loop.push((await loop.ask(JSON.stringify({ ...order, loop: true }))) as StepTimes);
  }
  bare.close();
  loop.close();
  const stepMs = (all: StepTimes[]) => 1000 * median(all.flatMap(({ seconds }) => seconds));
  const checkpointMs = 1000 * median(times.loop.map(({ checkpointSec = 0 }) => checkpointSec));
  return [
    row("the service's loop, a checkpoint every 100 steps", 'ms a step', stepMs(times.loop) + checkpointMs / CHECKPOINT_STEPS, {
      'bare step': stepMs(times.bare),
    }),
    row('of that, waiting for tiles', '%', 100 * median(times.loop.map(({ waitShare = 0 }) => waitShare)), {}),
    row('a checkpoint', 'ms', checkpointMs, {}),
  ];
}

function ours(): Contender {
  const script = fileURLToPath(new URL('./train-ours.js', import.meta.url));
  return { name: 'ours', start: () => startPeer(process.execPath, [script], { ...threads, TF_NUM_INTRAOP_THREADS: THREADS }) };
}

const threads = { BENCH_THREADS: THREADS, OMP_NUM_THREADS: THREADS, TF_CPP_MIN_LOG_LEVEL: '3' };

function contenders(): Contender[] {
  const python = process.env['BENCH_PYTHON'] ?? 'python3';
  const tensorflowPython = process.env['BENCH_TF_PYTHON'] ?? python;
  const peer = (name: string, command: string, word: string): Contender => ({
    name,
    start: () => startPeer(command, ['bench/peers/train.py', word], threads),
  });
  return [
    ours(),
    peer('PyTorch eager', python, 'torch'),
    peer('PyTorch channels_last', python, 'torch-channels-last'),
    peer('TensorFlow graph', tensorflowPython, 'tensorflow'),
  ];
}

async function versionsOf(all: Contender[]): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const { name, start } of all) {
    const { ask, close } = start();
    const answer = await ask('versions').catch(() => null);
    close();
    if (typeof answer === 'string') versions.set(name, answer);
    else console.log(`${name} is left out: its Python does not have it`);
  }
  return versions;
}

/** Starts a new process for each workload, so that the peak of memory belongs to that workload. */
async function inTurns(
  all: Contender[],
  workload: Workload,
  { rounds, steps }: { rounds: number; steps: number },
): Promise<Map<string, Measured>> {
  const running = all.map(({ name, start }) => ({ name, peer: start() }));
  const measured = new Map<string, Measured>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, peer } of running) {
      const answer = (await peer.ask(JSON.stringify({ ...workload, steps }))) as Measured;
      measured.set(name, { seconds: [...(measured.get(name)?.seconds ?? []), ...answer.seconds], peakMiB: answer.peakMiB });
      process.stderr.write(`\r${workload.name}, round ${round + 1} of ${rounds}: ${name} ${answer.seconds.at(-1)?.toFixed(2)} s\u001b[K`);
    }
  }
  process.stderr.write('\r\u001b[K');
  for (const { peer } of running) peer.close();
  return measured;
}

function resultsPage(rows: BenchRow[], versions: Map<string, string>): string {
  const cpu = cpus();
  return [
    '# Results of the training bench',
    '',
    'This page is for whoever asks how fast Undertone trains. It compares a training step with PyTorch and TensorFlow on one machine.',
    '',
    "`npm run bench -- train --results docs/results-training.md` writes this page. Brackets hold the peer's value divided by ours: above 1,",
    "ours is faster or smaller. Values are medians of single steps that read their losses back. The network is the paper's (128 × 256 tiles,",
    'filters 16, 32, 32) with Adam and heads for emotion, gender and speaker.',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${cpu[0]?.model ?? 'unknown processor'}, ${cpu.length} cores, ${THREADS} threads each.`,
    '',
    markdownTable(rows),
    '',
    ...[...versions].map(([name, version]) => `- ${name}: ${version}`),
    '',
    'The goals, as ours divided by theirs:',
    '',
    targetsTable(rows),
    '',
    '[results-training-profile.md](results-training-profile.md) says where a step spends its time, and which changes were tried.',
    '',
  ].join('\n');
}
