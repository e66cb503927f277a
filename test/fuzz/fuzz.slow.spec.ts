/**
 * A long fuzz of the running pipeline, with figures for docs/robustness.md. `FUZZ_SEED` chooses the cases, `FUZZ_SECONDS` for how long
 * they are dealt.
 */
import { expect, it } from 'vitest';
import { closingTable } from './print-fuzz.js';
import { runFuzz } from './run-fuzz.js';

/** Above what a service takes without hostile input, and far below what a machine has. */
const mostMemoryMb: Record<string, number> = { ingest: 700, features: 1_200, trainer: 1_800, evaluator: 700, predictor: 1_200 };
/** A service that stands still for longer is not merely busy. */
const longestDownSec = 10;

it('no service is down for more than seconds, each good recording arrives, each bad input has one letter', async () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 1);
  const seconds = Number(process.env['FUZZ_SECONDS'] ?? 30);
  console.log(`fuzz with FUZZ_SEED=${seed} for ${seconds} s`);
  const report = await runFuzz({ seed, laps: Infinity, seconds, casesPerLap: 40, settleSec: 300 });
  console.log(closingTable(report));
  expect(report.problems).toEqual([]);
  for (const [name, figures] of Object.entries(report.services)) {
    expect(figures.longestDownSec, `${name} was down`).toBeLessThan(longestDownSec);
    expect(figures.peakMemoryMb ?? 0, `memory of ${name}`).toBeLessThan(mostMemoryMb[name] ?? 0);
  }
}, 900_000);
