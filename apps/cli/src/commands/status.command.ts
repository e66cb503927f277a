/** `undertone status`: prints the state of the pipeline, stage by stage. */
import { Command, Option } from 'nest-commander';
import { objectHints } from '#contracts/object-hints.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { emotionTargets } from '#contracts/labels.js';
import { predictions } from '#contracts/predictions.js';
import { topicName } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import { fairnessText } from '#evaluation/fairness.js';
import { evaluatorGroup, featuresGroupPrefix, ingestGroup } from '#streaming/consumer-groups.js';
import { activeGroups, groupLag } from '#streaming/group-lag.js';
import type { PromotionState } from '#overview/overview-snapshot.js';
import { troublesOf } from '#overview/troubles.js';
import { askPredictor, askRestarts, askTrainer, type PredictorReport } from '../ask-services.js';
import { environment } from '../config.js';
import { connect, readOverviewAndGaps, type Connections } from '../connect.js';
import { readCorpusWarnings } from '../corpus-warnings.js';
import { fullDiskLine } from '../disk-room.js';
import { alignedTable } from '../results.js';
import { readRestarts, readStackNote, undertoneHome } from '../stack-file.js';
import { print, printJson, printLine, UndertoneCommand } from '../undertone-command.js';

const mostLetters = 5;

@Command({ name: 'status', description: 'Print lag, counts and dead letters by stage, and what the trainer is doing' })
export class StatusCommand extends UndertoneCommand {
  protected readonly example = './undertone status --json';

  async run(_arguments: string[], { json }: { json?: boolean }): Promise<void> {
    const connections = connect();
    const note = readStackNote(environment);
    // The caller may have named another broker than the broker of the stack on this machine.
    const isThisStack = note !== null && note.environment['KAFKA_BROKERS'] === connections.environment['KAFKA_BROKERS'];
    const fullDisk = [isThisStack ? fullDiskLine(undertoneHome(environment)) : null].filter((line) => line !== null);
    // Printed first: on a full disk the broker may be down, and everything below waits for the broker.
    if (!json) for (const line of fullDisk) printLine(`  !! ${line}`);
    const [{ overview, gaps }, lag, trainer, predictor, corpusWarnings, restarts] = await Promise.all([
      readOverviewAndGaps(connections),
      lagByStage(connections),
      askTrainer(connections),
      askPredictor(connections),
      readCorpusWarnings(connections.store),
      (isThisStack ? readRestarts(environment) : null) ?? askRestarts(connections),
    ]);
    const snapshot = overview.snapshot();
    const troubles = troublesOf(snapshot, restarts);
    if (json) {
      const training = { ...snapshot.training, steps: snapshot.training.steps.slice(-1) };
      return printJson({ ...snapshot, troubles: [...fullDisk, ...troubles], training, lag, trainer, predictor, corpusWarnings, gaps });
    }
    const { reconciliation, streams, checkpoint, training, evaluations } = snapshot;
    const lastStep = training.steps.at(-1);
    for (const trouble of troubles) printLine(`  !! ${trouble}`);
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
          ['predictor', predictor ? String(waitingOf(predictor)) : '–', predictor ? predictorLine(predictor) : 'does not answer'],
        ],
      ),
    );
    for (const { corpus, settingsHash, covered, live } of snapshot.moves)
      printLine(`  corpus ${corpus} is changing its feature settings: ${covered} of ${live} utterances have tiles under ${settingsHash}`);
    const leftOut = Object.entries(snapshot.tilesLeftOut).filter(([, tiles]) => tiles > 0);
    if (leftOut.length > 0) printLine(`  tiles left out: ${leftOut.map(([reason, tiles]) => `${tiles} with ${reason}`).join(', ')}`);
    for (const state of snapshot.promotions) printLine(`  ${promotionLine(state)}`);
    if (snapshot.whyNothingCanBePromoted) printLine(`  ! ${snapshot.whyNothingCanBePromoted}`);
    for (const line of fairnessLines(evaluations)) printLine(`  ${line}`);
    for (const { corpus, warnings } of corpusWarnings) for (const warning of warnings) printLine(`  ! corpus ${corpus}: ${warning}`);
    for (const finding of trainer?.findings ?? []) printLine(`  ! ${finding}`);
    if (gaps) printLine(`  ! ${gaps}`);
    const { open, total, groups } = snapshot.deadLetters;
    print(open === 0 ? '  no open dead letters' : `  open dead letters: ${open} of ${total}; \`replay\` tries their objects again`);
    if (open > mostLetters)
      for (const { stage, code, corpus, count } of groups.slice(0, mostLetters))
        printLine(`    ${count} of all: ${code} by ${stage}${corpus === null ? '' : `, corpus ${corpus}`}`);
    const named = overview.unresolvedDeadLetters.slice(-mostLetters);
    for (const { code, subject, message } of named) printLine(`    ${code}  ${subject}: ${message}`);
    if (open > named.length) print(`    … and ${open - named.length} more; \`replay --dry-run\` lists them`);
    connections.store.close();
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }
}

/** Utterances that wait for a score. */
const waitingOf = ({ utterances }: PredictorReport): number => (utterances['due'] ?? 0) + (utterances['outdated'] ?? 0);

function predictorLine({ model, problem, utterances }: PredictorReport): string {
  if (!model) return problem ?? 'no model yet';
  const of = (state: string): number => utterances[state] ?? 0;
  const parts = [
    `${of('scored')} scored by ${model.runId} step ${model.step} (${model.champion === null ? 'the newest' : `champion ${model.champion}`}) or before`,
    ...(of('outdated') > 0 ? [`${of('outdated')} to score again`] : []),
    ...(of('other-settings') > 0 ? [`${of('other-settings')} with other feature settings than the model's`] : []),
    ...(of('failed') > 0 ? [`${of('failed')} failed`] : []),
    ...(problem === null ? [] : [problem]),
  ];
  return parts.join(', ');
}

/** Scores by gender and by speaker of the emotion head, on test speakers if there are any. */
function fairnessLines(evaluations: readonly ModelEvaluated[]): string[] {
  return emotionTargets.flatMap((target) => {
    const own = evaluations.filter(({ task }) => task === target);
    const found = own.find(({ split }) => split === 'test') ?? own.find(({ split }) => split === 'dev');
    const text = found && fairnessText(found);
    return text ? [`${target} on ${found.split}: ${text}`] : [];
  });
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

/** Counts records not yet committed. Groups of features without members belong to older settings, and are left out. */
async function lagByStage({ kafka, topicPrefix }: Connections): Promise<{ ingest: number; features: number; evaluator: number }> {
  const lagOf = (topic: Parameters<typeof topicName>[0], group: string): Promise<number> =>
    groupLag(kafka, group, topicName(topic, topicPrefix));
  const featureGroups = await activeGroups(kafka, featuresGroupPrefix(topicPrefix));
  const [ingest, evaluator, ...features] = await Promise.all([
    lagOf(objectHints, ingestGroup(topicPrefix)),
    lagOf(predictions, evaluatorGroup(topicPrefix)),
    ...featureGroups.map((group) => lagOf(utterances, group)),
  ]);
  return { ingest, evaluator, features: Math.max(0, ...features) };
}
