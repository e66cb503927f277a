/** Child of the bench: our training step on native TensorFlow. A line in: `{update, labelled, unlabelled, steps}`. */
import { createInterface } from 'node:readline';
import { chooseBackend } from '#model/backend.js';
import { createModel } from '#model/model.js';
import { parseModelSettings } from '#model/settings.js';
import { trainStep } from '#model/train-step.js';

interface Order {
  update: 'phases' | 'joint';
  labelled: number;
  unlabelled: number;
  steps: number;
}

const SPEAKERS = 24;
const { name } = await chooseBackend({ requested: process.env['TF_BACKEND'] ?? 'node', hasGpu: false, log: () => undefined });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'versions') console.log(JSON.stringify(`Node ${process.versions.node}, TensorFlow 2.15.1 by tfjs-${name}`));
  else console.log(JSON.stringify(measure(JSON.parse(line) as Order)));
}

function measure({ update, labelled, unlabelled, steps }: Order): { seconds: number[]; peakMiB: number } {
  const settings = parseModelSettings({ update, tasks: { speakers: SPEAKERS } });
  const model = createModel(settings);
  const count = labelled + unlabelled;
  const labels = (classes: number) => Int32Array.from({ length: count }, (_, i) => (i < labelled ? i % classes : -1));
  const tiles = Uint8Array.from(
    { length: count * settings.tile[0] * settings.tile[1] },
    (_, i) => (Math.imul(i, 2_654_435_761) >>> 24) & 255,
  );
  const batch = { tiles, count, emotion: labels(4), gender: labels(2), speaker: labels(SPEAKERS) };
  trainStep(model, batch);
  const seconds = Array.from({ length: steps }, () => {
    const begun = performance.now();
    trainStep(model, batch); // reads its losses: nothing is left running
    return (performance.now() - begun) / 1000;
  });
  model.dispose();
  return { seconds, peakMiB: process.resourceUsage().maxRSS / 1024 };
}
