/** `npm run chaos -- --seed N --minutes M`: exit code 1 when anything is missing, double or wrong. */
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
// Of a full run each kind of fault must have been survived, or it has not shown what it says.
const isFull = minutes >= 10;
process.exit(report.problems.length > 0 || (isFull && report.missedFaults.length > 0) ? 1 : 0);
