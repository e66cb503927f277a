/** Runs the consumers of examples/ beside a real evaluator that scores models and promotes one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emotions, type UtteranceScored } from '#contracts/emotions.js';
import { predictions } from '#contracts/predictions.js';
import { findOnPath, runCommand } from '#embedded/run-command.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { RunningPipeline } from './running-pipeline.js';

const pipeline = new RunningPipeline();
const python = findOnPath(process.env['PYTHON'] ?? 'python3');
const packages = mkdtempSync(join(tmpdir(), 'undertone-example-'));
let publisher: Publisher;
let models: MadeModels;

/** The records that exist before the consumers start. */
beforeAll(async () => {
  await pipeline.prepare();
  publisher = new Publisher(
    kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', pino({ level: 'silent' })),
    pipeline.prefix,
  );
  await publisher.connect();
  models = new MadeModels(pipeline.store);
  pipeline.start('evaluator');
  await publisher.publish(predictions, await models.write({ step: 100, right: 5 }));
  await pipeline.until('the first champion', () => pipeline.overview.promotionOf('emotion').champion?.number === 1);
});
afterAll(async () => {
  await publisher.close();
  await pipeline.close();
  rmSync(packages, { recursive: true, force: true });
});

const before = [
  'made/100 emotion dev: UA 50.0 %, WA 50.0 %, n 240',
  'made/100 emotion test: UA 50.0 %, WA 50.0 %, n 80',
  expect.stringMatching(/^champion 1 of emotion: made\/100\. \S/) as string,
];

/** @returns a function for the output so far; `stop` ends the consumer */
function run(command: string, args: string[], settings: Record<string, string> = {}): { lines: () => string[]; child: ChildProcess } {
  const child = spawn(command, args, { env: { ...pipeline.environment, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let errors = '';
  child.stdout?.on('data', (piece: Buffer) => (text += piece.toString()));
  child.stderr?.on('data', (piece: Buffer) => (errors += piece.toString()));
  const lines = (): string[] => {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${errors}`);
    return text.split('\n').filter((line) => line !== '');
  };
  return { lines, child };
}

async function follow(what: string, { lines, child }: ReturnType<typeof run>, step: number): Promise<void> {
  try {
    await pipeline.until(`${what}: what there was`, () => lines().length >= before.length);
    expect(lines()).toEqual(expect.arrayContaining(before));
    await publisher.publish(
      predictions,
      await models.write({ step, right: 6, devSpeakers: 4, champion: { number: 1, step: 100, right: 5 } }),
    );
    await pipeline.until(`${what}: what comes`, () =>
      lines().some((line) => line.startsWith(`not the champion of emotion: made/${step}. There are 4 dev`)),
    );
    expect(lines()).toContain(`made/${step} emotion test: UA 60.0 %, WA 60.0 %, n 80`);
  } finally {
    child.kill('SIGKILL');
  }
}

const score: UtteranceScored = {
  ...{ utteranceId: 'calls/a.wav', version: '0123456789abcdef', settingsHash: '0123456789abcdef' },
  model: { runId: 'main', step: 20, target: 'emotion', champion: 1 },
  classes: { emotion: ['angry', 'sad'] },
  probabilities: { emotion: { angry: 0.25, sad: 0.75 } },
  entropy: 0.811278,
  tiles: [{ startSec: 0, endSec: 2.56, probabilities: { emotion: [0.25, 0.75] } }],
  scoredAt: '2026-11-30T21:00:00Z',
};

async function followScores(what: string, { lines, child }: ReturnType<typeof run>): Promise<void> {
  try {
    const line = 'calls/a.wav sad 75.0 %, 1 tiles, by main/20';
    await publisher.publish(emotions, score);
    await pipeline.until(`${what}: a score`, () => lines().includes(line));
    await publisher.tombstone(emotions, score.utteranceId);
    await pipeline.until(`${what}: its tombstone`, () => lines().lastIndexOf('calls/a.wav deleted') > lines().lastIndexOf(line));
  } finally {
    child.kill('SIGKILL');
  }
}

describe('an example consumer', () => {
  it('in TypeScript prints scores of recordings, and deletions', async () => {
    await followScores('TypeScript', run(process.execPath, [join(packageRoot, 'examples/consume-emotions.ts')]));
  });

  it('in TypeScript prints existing and new scores and champions', async () => {
    await follow('TypeScript', run(process.execPath, [join(packageRoot, 'examples/consume-evaluations.ts')]), 200);
  });

  it.skipIf(skipped('python3', python))('in Python does the same', async () => {
    const requirements = join(packageRoot, 'examples/requirements.txt');
    await runCommand(python as string, ['-m', 'pip', 'install', '--quiet', '--target', packages, '-r', requirements]);
    const example = run(python as string, [join(packageRoot, 'examples/consume-evaluations.py')], { PYTHONPATH: packages });
    await follow('Python', example, 300);
    await followScores('Python', run(python as string, [join(packageRoot, 'examples/consume-emotions.py')], { PYTHONPATH: packages }));
  });
});

/** Loudly. */
function skipped(tool: string, path: string | undefined): boolean {
  if (!path) console.warn(`SKIPPED: ${tool} is not installed, so that the example for it is not run`);
  return !path;
}
