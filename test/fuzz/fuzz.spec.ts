/** A short fuzz of the running pipeline; fuzz.slow.spec.ts has the long one. */
import { expect, it } from 'vitest';
import { closingTable } from './print-fuzz.js';
import { runFuzz } from './run-fuzz.js';

it('holds up no good recording and ends no service, and refuses each bad input with one letter', async () => {
  const report = await runFuzz({ seed: 15, laps: 3, seconds: 60, casesPerLap: 40, settleSec: 90 });
  console.log(closingTable(report));
  expect(report.problems).toEqual([]);
  expect(Object.keys(report.letters).length).toBeGreaterThan(5);
});
