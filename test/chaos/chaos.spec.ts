/** A short chaos run; `npm run chaos` has the long one. */
import { expect, it } from 'vitest';
import { closingTable } from './print-chaos.js';
import { runChaos } from './run-chaos.js';

const chosen = new Set([
  'kill -9 features between put and announcement',
  'kill -9 ingest',
  'kill -9 broker',
  'kill -9 store',
  'SIGSTOP features-1',
  'SIGTERM features-2',
]);

it('half a minute of faults loses no utterance, and doubles none', async () => {
  const lines: string[] = [];
  const report = await runChaos({ seed: 6, minutes: 0.5, opsPerSec: 6, only: (kind) => chosen.has(kind), log: (line) => lines.push(line) });
  console.log(closingTable(report));
  expect(report.problems, lines.join('\n')).toEqual([]);
  expect(report.alive).toBeGreaterThan(20);
}, 420_000);
