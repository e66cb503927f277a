/** A short chaos run; `npm run chaos` has the long one. */
import { expect, it } from 'vitest';
import { closingTable } from './print-chaos.js';
import { runChaos } from './run-chaos.js';

const chosen = new Set([
  'kill -9 features between put and announcement',
  'kill -9 ingest',
  'kill -9 broker',
  'SIGSTOP features-1',
  'kill -9 predictor',
  'SIGSTOP predictor',
]);

it('ends with every recording in a shard or a dead letter, once, after kills, a zombie and a bad network', async () => {
  const lines: string[] = [];
  const log = (line: string): number => lines.push(line);
  const report = await runChaos({ seed: 6, minutes: 2.5, deals: 1, opsPerSec: 6, only: (kind) => chosen.has(kind), log });
  console.log(closingTable(report));
  expect(report.problems, lines.join('\n')).toEqual([]);
  expect(report.missedFaults.filter((kind) => chosen.has(kind))).toEqual([]);
  expect(report.alive).toBeGreaterThan(20);
}, 480_000);
