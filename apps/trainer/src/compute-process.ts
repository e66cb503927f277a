/** The compute process: holds the model and trains it. It ends when the trainer that started it ends. */
import { chooseBackend } from '#tensor/backend.js';
import { ObjectStore, type StoreCall } from '#storage/object-store.js';
import { observeRetries, retrying } from '#streaming/retry.js';
import { listChampions } from '#evaluation/champions.js';
import { CheckpointPruner } from '#rounds/prune-checkpoints.js';
import { RoundErasures } from '#rounds/round-erasures.js';
import { TileStore } from '#rounds/tile-store.js';
import { isTrained, type ViewUtterance } from '#index/training-index.js';
import { TrainingRun } from '#rounds/training-run.js';
import type { ComputeSetup, FromCompute, ToCompute } from './compute-messages.js';
import { failureOf } from './process-failure.js';

let run: TrainingRun | undefined;
/** The round that was requested last. */
let round = { id: 0, erasures: new RoundErasures() };
let askedAbout: ReadonlySet<string> = new Set();
observeRetries(() => tell({ type: 'retried' }));
let prune: () => Promise<void> = () => Promise.resolve();

function tell(message: FromCompute): void {
  process.send?.(message);
}

async function setUp({ run: settings, store: connection, shardCache, epoch, keepModels, backend: wanted }: ComputeSetup): Promise<void> {
  const backend = await chooseBackend({ ...wanted, log: () => undefined });
  const onCall = (call: StoreCall): void => tell({ type: 'storeCalled', ...call });
  const store = new ObjectStore(connection, { onCall, retry: retrying });
  const pruner = new CheckpointPruner(store, settings.runId);
  run = new TrainingRun(settings, store, new TileStore(store, { ...shardCache, connection, onCall }), epoch, {
    roundStarted: ({ view, isFirstLearnt, ...facts }) => {
      const asked = view.utterances.filter(({ utteranceId }) => askedAbout.has(utteranceId));
      const idsOf = (utterances: ViewUtterance[]): string[] => utterances.map(({ utteranceId }) => utteranceId);
      const first = { learnt: idsOf(asked.filter(isFirstLearnt)), heldOut: idsOf(asked.filter((each) => !isTrained(each))) };
      tell({ type: 'roundStarted', ...facts, first, viewDigest: view.digest });
    },
    stepTrained: (facts) => tell({ type: 'stepTrained', ...facts }),
    checked: (facts) => tell({ type: 'checked', ...facts }),
    erased: (facts) => tell({ type: 'erased', ...facts }),
    shardsGone: (shardIds) => tell({ type: 'shardsGone', shardIds }),
    saved: (checkpoint) => {
      pruner.saved(checkpoint);
      tell({ type: 'saved', checkpoint });
    },
    checkpointRefused: (why) => tell({ type: 'checkpointRefused', why }),
    wentBack: (facts) => tell({ type: 'wentBack', ...facts }),
    roundFinished: (facts) => tell({ type: 'roundFinished', ...facts }),
  });
  prune = async () => {
    const champions = new Set((await listChampions(store)).map(({ model }) => `${model.runId}/${model.step}`));
    await pruner.prune({ keepModels, isProtected: ({ runId, step }) => champions.has(`${runId}/${step}`) });
  };
  tell({ type: 'ready', backend: backend.name, why: backend.why, restored: await run.restore() });
}

function erase({ roundId, utteranceIds }: Extract<ToCompute, { type: 'erase' }>): void {
  if (roundId === round.id) round.erasures.add(utteranceIds);
}

async function handle(message: ToCompute): Promise<void> {
  if (message.type === 'setup') return setUp(message.setup);
  if (!run) throw new Error('the trainer requested a round before the set-up');
  if (message.type === 'erase') return erase(message);
  round = { id: message.id, erasures: new RoundErasures() };
  round.erasures.add(message.erased);
  askedAbout = new Set(message.asked);
  const trained = await run.runRound(message.view, round);
  if (trained) await retrying(prune);
  tell({ type: 'roundDone', trained });
}

process.on('message', (message: ToCompute) => {
  handle(message).catch((error: unknown) => tell(failureOf(error)));
});
process.once('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches this process too. It ignores the signal and follows the trainer.
process.on('SIGINT', () => undefined);
