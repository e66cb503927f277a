/** Lets a person choose the champion: `undertone promote` and `undertone rollback`. */
import { createInterface } from 'node:readline/promises';
import type { EmotionTarget } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { printable } from '#contracts/printable.js';
import { promotions } from '#contracts/promotions.js';
import type { Objects } from '#storage/object-store.js';
import { announceChampion, championOf, crown, listChampions, type Champion } from '#evaluation/champions.js';
import { type Checkpoint, findCheckpoint, manifestKey, readWeights, targetOf } from '#rounds/checkpoint-store.js';
import { type Connections, withPublisher } from './connect.js';

/**
 * Crowns a model and announces it.
 * @param from the champion that the person saw
 * @throws PipelineError CONFIG_INVALID if another model was crowned meanwhile, CHECKPOINT_INVALID if the weights are damaged
 */
export async function crownByHand(
  connections: Connections,
  checkpoint: Checkpoint,
  { from, ...words }: { from: Champion | null; why: string; restores?: number },
): Promise<Champion> {
  const { runId, step, weights } = checkpoint;
  await readWeights(connections.store, checkpoint);
  const target = targetOf(checkpoint);
  const model = { runId, step, manifestKey: manifestKey(runId, step), sha256: weights.sha256 };
  const champion = await crown(connections.store, { target, model, by: 'person', ...words }, { after: from?.number ?? null });
  if (!champion)
    throw new PipelineError(
      'CONFIG_INVALID',
      `Another model became the champion of ${target} meanwhile. Look at \`./undertone models\`, and run the command again.`,
    );
  await withPublisher(connections, (publisher) =>
    announceChampion(connections.store, target, (fact) => publisher.publish(promotions, fact)),
  );
  return champion;
}

/**
 * Finds the champion that a rollback restores: the predecessor of the present champion. A restored champion keeps the
 * predecessor it had the first time, so each further rollback goes back one more.
 * @param wanted the target; null if only one target has a champion
 * @throws PipelineError CONFIG_INVALID if there is no predecessor
 */
export async function planRollback(
  store: Objects,
  wanted: EmotionTarget | null,
): Promise<{ current: Champion; restored: Champion; checkpoint: Checkpoint }> {
  const champions = await listChampions(store);
  const targets = [...new Set(champions.map(({ target }) => target))];
  if (targets.length === 0) throw new PipelineError('CONFIG_INVALID', 'No model has been promoted yet: there is nothing to roll back.');
  if (!wanted && targets.length > 1)
    throw new PipelineError('CONFIG_INVALID', `Several targets have champions (${targets.join(', ')}). Name one with --target.`);
  const target = wanted ?? (targets[0] as EmotionTarget);
  const current = championOf(champions, target);
  if (!current)
    throw new PipelineError('CONFIG_INVALID', `No model of ${target} has been promoted. Targets with a champion: ${targets.join(', ')}.`);
  const byNumber = (number: number | null): Champion | undefined => champions.find((each) => each.number === number);
  const first = (champion: Champion): Champion => byNumber(champion.restores ?? null) ?? champion;
  const before = byNumber(first(current).after);
  if (!before)
    throw new PipelineError(
      'CONFIG_INVALID',
      `Champion ${current.number} of ${target} had none before it. To use another model, run \`./undertone promote RUN/STEP\`.`,
    );
  const restored = first(before);
  const { runId, step, sha256 } = restored.model;
  const checkpoint = await findCheckpoint(store, runId, step);
  if (checkpoint?.weights.sha256 === sha256) return { current, restored, checkpoint };
  throw new PipelineError(
    'CONFIG_INVALID',
    `Champion ${restored.number} was ${runId}/${step}, which no longer exists. To use another model, run \`./undertone promote RUN/STEP\`.`,
  );
}

/** @throws PipelineError CONFIG_INVALID if stdin is no terminal */
export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new PipelineError('CONFIG_INVALID', 'The command needs a confirmation, and stdin is no terminal. Add --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${printable(question)} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
