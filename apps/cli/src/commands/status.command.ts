/** `undertone status`: where everything is, stage by stage. */
import { Command, Option } from 'nest-commander';
import { objectHints } from '#contracts/object-hints.js';
import { predictions } from '#contracts/predictions.js';
import { topicName } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import { evaluatorGroup, featuresGroupPrefix, ingestGroup } from '#streaming/consumer-groups.js';
import { activeGroups, groupLag } from '#streaming/group-lag.js';
import { subjectOf, type PromotionState } from '#overview/pipeline-overview.js';
import { askTrainer } from '../ask-services.js';
import { connect, readOverviewAndGaps, type Connections } from '../connect.js';
import { alignedTable } from '../results.js';
import { print, printJson, UndertoneCommand } from '../undertone-command.js';

const mostLetters = 5;

@Command({ name: 'status', description: 'Lag, counts and dead letters by stage, and what the trainer is doing' })
export class StatusCommand extends UndertoneCommand {
  protected readonly example = './undertone status --json';

  async run(_arguments: string[], { json }: { json?: boolean }): Promise<void> {
    const connections = connect();
    const [{ overview, gaps }, lag, trainer] = await Promise.all([
      readOverviewAndGaps(connections),
      lagByStage(connections),
      askTrainer(connections),
    ]);
    const snapshot = overview.snapshot();
    if (json)
      return printJson({ ...snapshot, training: { ...snapshot.training, steps: snapshot.training.steps.slice(-1) }, lag, trainer, gaps });
    const { reconciliation, streams, checkpoint, training, evaluations } = snapshot;
    const lastStep = training.steps.at(-1);
    print(
      alignedTable(
        ['stage', 'lag', 'state'],
        [
          ['ingest', String(lag.ingest), `${snapshot.utterances.live} utterances alive`],
          [
            'features',
            String(lag.features),
            `${reconciliation.inShards} in shards, ${reconciliation.deadLettered} dead-lettered, ${reconciliation.inFlight} in flight; ${streams.labelled.tiles} labelled and ${streams.unlabelled.tiles} unlabelled tiles`,
          ],
          [
            'trainer',
            '–',
            trainer
              ? `${trainer.state}: ${trainer.because} (${trainer.backend ?? 'no backend yet'}); step ${lastStep?.step ?? 0}`
              : 'does not answer',
          ],
          [
            'evaluator',
            String(lag.evaluator),
            checkpoint
              ? `newest model ${checkpoint.runId} step ${checkpoint.step}: ${evaluations.map((each) => `${each.task} ${each.split} UA ${(each.ua * 100).toFixed(1)} %`).join(', ')}`
              : 'no model yet',
          ],
        ],
      ),
    );
    for (const { corpus, settingsHash, covered, live } of snapshot.moves)
      print(`  corpus ${corpus} is on its way to other feature settings: ${covered} of ${live} under ${settingsHash}`);
    for (const state of snapshot.promotions) print(`  ${promotionLine(state)}`);
    for (const finding of trainer?.findings ?? []) print(`  ! ${finding}`);
    if (gaps) print(`  ! ${gaps}`);
    const open = overview.unresolvedDeadLetters;
    print(
      open.length === 0 ? '  no dead letters are open' : `  dead letters that are open: ${open.length}; \`replay\` gives them another try`,
    );
    for (const letter of open.slice(-mostLetters)) print(`    ${letter.code}  ${subjectOf(letter)}: ${letter.message}`);
    if (open.length > mostLetters) print(`    … and ${open.length - mostLetters} more; \`replay --dry-run\` lists them`);
    connections.store.close();
  }

  @Option({ flags: '--json', description: 'for scripts' })
  parseJson(): boolean {
    return true;
  }
}

function promotionLine({ target, champion, championUa, rejected }: PromotionState): string {
  const ua = championUa === null ? 'not scored on dev' : `dev UA ${(championUa * 100).toFixed(1)} %`;
  const now = champion
    ? `champion of ${target}: ${champion.challenger.runId} step ${champion.challenger.step} (number ${champion.number}, ${ua})`
    : `no champion of ${target} yet`;
  if (rejected && rejected.at > (champion?.at ?? ''))
    return `${now}; ${rejected.challenger.runId} step ${rejected.challenger.step} was rejected: ${rejected.why}`;
  return champion ? `${now}: ${champion.why}` : now;
}

/** Records not yet committed. Groups of features that nobody is in belong to older settings. */
async function lagByStage({ kafka, topicPrefix }: Connections): Promise<{ ingest: number; features: number; evaluator: number }> {
  const of = (topic: Parameters<typeof topicName>[0], group: string): Promise<number> =>
    groupLag(kafka, group, topicName(topic, topicPrefix));
  const featureGroups = await activeGroups(kafka, featuresGroupPrefix(topicPrefix));
  const [ingest, evaluator, ...features] = await Promise.all([
    of(objectHints, ingestGroup(topicPrefix)),
    of(predictions, evaluatorGroup(topicPrefix)),
    ...featureGroups.map((group) => of(utterances, group)),
  ]);
  return { ingest, evaluator, features: Math.max(0, ...features) };
}
