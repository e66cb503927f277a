/** A person's word on which model is used: `undertone promote` and `undertone rollback`. */
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
 * @param from the champion that is known to the person
 * @throws PipelineError CONFIG_INVALID when another was crowned meanwhile, CHECKPOINT_INVALID when the weights are not whole
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
      `Another model became the champion of ${target} just now. Look at \`./undertone models\`, and say it again.`,
    );
  await withPublisher(connections, (publisher) =>
    announceChampion(connections.store, target, (fact) => publisher.publish(promotions, fact)),
  );
  return champion;
}

/**
 * What a rollback of a target makes the champion again: the one whose place the present one took. Rolled back twice, it
 * goes back two, since what was restored stands where it stood the first time.
 * @param wanted null where only one target has a champion
 * @throws PipelineError CONFIG_INVALID when there is nothing to go back to
 */
export async function planRollback(
  store: Objects,
  wanted: EmotionTarget | null,
): Promise<{ current: Champion; restored: Champion; checkpoint: Checkpoint }> {
  const champions = await listChampions(store);
  const targets = [...new Set(champions.map(({ target }) => target))];
  if (targets.length === 0) throw new PipelineError('CONFIG_INVALID', 'No model has been promoted yet: there is nothing to roll back.');
  if (!wanted && targets.length > 1)
    throw new PipelineError('CONFIG_INVALID', `There are champions of ${targets.join(', ')}: say which with --target.`);
  const target = wanted ?? (targets[0] as EmotionTarget);
  const current = championOf(champions, target);
  if (!current)
    throw new PipelineError('CONFIG_INVALID', `No model of ${target} has been promoted; there are champions of ${targets.join(', ')}.`);
  const byNumber = (number: number | null): Champion | undefined => champions.find((each) => each.number === number);
  const first = (champion: Champion): Champion => byNumber(champion.restores ?? null) ?? champion;
  const before = byNumber(first(current).after);
  if (!before)
    throw new PipelineError(
      'CONFIG_INVALID',
      `Champion ${current.number} of ${target} had none before it. \`./undertone promote RUN/STEP\` makes another the champion.`,
    );
  const restored = first(before);
  const { runId, step, sha256 } = restored.model;
  const checkpoint = await findCheckpoint(store, runId, step);
  if (checkpoint?.weights.sha256 === sha256) return { current, restored, checkpoint };
  throw new PipelineError(
    'CONFIG_INVALID',
    `Champion ${restored.number} was ${runId}/${step}, which is not there any more. \`./undertone promote RUN/STEP\` makes another the champion.`,
  );
}

/** @throws PipelineError CONFIG_INVALID where nobody can be asked */
export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new PipelineError('CONFIG_INVALID', 'Nobody can be asked here: say --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${printable(question)} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
