/**
 * Writes the inputs with which PyTorch repeats our three-phase step: `node dist/bench/export-three-phases.js > cases.json`, then
 * `python bench/peers/three_phases.py cases.json test/golden/model/three-phases.json`.
 */
import { chooseBackend } from '#tensor/backend.js';
import { modelOptimisers, modelParameters, modelStatistics } from '#paper/model.js';
import { latentShape } from '#paper/settings.js';
import { ADAM_STEPS, caseBatch, caseModel, cases, priorValue, SGD_RATE, SGD_STEPS } from '#paper/three-phases.fixture.js';

await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined });
const exported = Object.entries(cases).map(([name, changes]) => {
  const model = caseModel(changes);
  const { settings } = model;
  const batch = caseBatch(model);
  const weights = [...modelParameters(model), ...modelStatistics(model)].map(({ name: of, value }) => ({
    name: of,
    shape: value.shape,
    values: [...value.dataSync()],
  }));
  const latentSize = batch.count * latentShape(settings).reduce((product, size) => product * size);
  return {
    name,
    settings,
    speakerCount: model.speakerCount,
    sgdRate: SGD_RATE,
    sgdSteps: SGD_STEPS,
    adamSteps: ADAM_STEPS,
    optimisers: modelOptimisers(model).map((optimiser) => ({
      name: optimiser.name,
      parameters: optimiser.slots.map(({ parameter }) => parameter.name),
    })),
    weights,
    count: batch.count,
    tiles: [...batch.tiles],
    labels: { emotion: [...batch.emotion], gender: [...batch.gender], speaker: [...batch.speaker] },
    priors: Array.from({ length: ADAM_STEPS }, (_, draw) => Array.from({ length: latentSize }, (_value, index) => priorValue(draw, index))),
  };
});
console.log(JSON.stringify(exported));
