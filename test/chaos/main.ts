/** `npm run chaos -- --seed N --minutes M`: exits with 1 if anything is missing, duplicate or wrong. */
import { parseArgs } from 'node:util';
import { closingTable } from './print-chaos.js';
import { runChaos } from './run-chaos.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '8' },
  },
});
const minutes = Number(values.minutes);
console.log(`chaos with seed ${values.seed} for ${minutes} minutes`);
const report = await runChaos({ seed: Number(values.seed), minutes, opsPerSec: Number(values.rate), log: (line) => console.log(line) });
for (const problem of report.problems) console.log(problem);
console.log(`\n${closingTable(report)}`);
// A full run must have had each kind of fault, or it proves too little.
const isFull = minutes >= 10;
process.exit(report.problems.length > 0 || (isFull && report.missedFaults.length > 0) ? 1 : 0);
