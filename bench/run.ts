/** `npm run bench -- NAME [options]`: measures ours and its peers in one run and prints the ratios. It is never a test. */
import { benchControls } from './controls.js';
import { benchFeatures } from './features.js';
import { benchIndex } from './index.js';
import { benchInstances } from './instances.js';
import { benchRecovery } from './recovery.js';
import { benchSoak } from './soak.js';
import { benchTrain } from './train.js';

const benches: Record<string, (args: string[]) => Promise<void>> = {
  controls: benchControls,
  features: benchFeatures,
  index: benchIndex,
  instances: benchInstances,
  recovery: benchRecovery,
  soak: benchSoak,
  train: benchTrain,
};

const [name = '', ...args] = process.argv.slice(2);
const bench = benches[name];
if (!bench) {
  console.error(`npm run bench -- NAME, where NAME is one of: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
await bench(args);
