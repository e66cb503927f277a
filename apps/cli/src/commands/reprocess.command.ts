/** `undertone reprocess`: makes the tiles of a corpus again, with other feature settings or with those it has. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'nest-commander';
import type { FeatureOverrides } from '#contracts/feature-settings.js';
import { featureSettingsPrefix, parseFeatureSettingsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Publisher } from '#streaming/publisher.js';
import { askFeatures, askTrainer } from '../ask-services.js';
import { connect, followedOverview, refuseMissingTopics, type Connections } from '../connect.js';
import { parseOverride, parseOverrideName, type OverrideChange } from '../feature-overrides.js';
import { asBytes, asDuration, counted } from '../human-units.js';
import { LiveProgress } from '../live-progress.js';
import { CorpusReprocessing, type CorpusPlan } from '../reprocess-corpora.js';
import { print, printJson, printLine, UndertoneCommand } from '../undertone-command.js';

interface Options {
  corpus?: string;
  all?: boolean;
  set?: FeatureOverrides;
  unset?: (keyof FeatureOverrides)[];
  default?: boolean;
  wait?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

const progressIntervalMs = 1_000;
/** Time between two checks for records that the consumer groups have passed over. */
const hintIntervalMs = 10_000;

@Command({
  name: 'reprocess',
  description: 'Make the tiles of a corpus again, with other or the same feature settings; the old tiles stay until all new ones exist',
})
export class ReprocessCommand extends UndertoneCommand {
  protected readonly example =
    './undertone reprocess --corpus calls --set bandLimitHz=4000 --wait\n  ./undertone reprocess --corpus calls --default';

  async run(_arguments: string[], options: Options): Promise<void> {
    const change = changeOf(options);
    const connections = connect();
    await refuseMissingTopics(connections);
    const answer = await askFeatures(connections);
    const { overview, follower } = followedOverview(connections);
    const publisher = new Publisher<'cli'>(connections.kafka, connections.topicPrefix);
    try {
      await follower.start();
      const work = new CorpusReprocessing(connections, overview, follower);
      const corpora = await this.corporaOf(options, overview.corpora, connections);
      const plans: CorpusPlan[] = [];
      for (const corpus of corpora) plans.push(await work.plan(corpus, change, answer));
      if (!options.json) for (const plan of plans) for (const line of linesOf(plan)) printLine(line);
      if (options.dryRun) return options.json ? printJson({ dryRun: true, corpora: plans.map(asJson) }) : undefined;
      await publisher.connect();
      await work.apply(plans, answer.readEverySec);
      const hinted = await work.hint(plans, publisher);
      if (!options.json && hinted > 0) print(`  ${counted(hinted, 'recording')} that features had passed before: published again`);
      if (options.wait) await untilCovered(plans, { work, publisher, isQuiet: options.json === true });
      const states = await Promise.all(plans.map((plan) => stateOf(plan, work, connections)));
      if (options.json) printJson({ dryRun: false, hinted, corpora: plans.map((plan, at) => ({ ...asJson(plan), ...states[at] })) });
      else for (const line of closingLines(plans, states)) printLine(line);
    } finally {
      await follower.stop();
      await publisher.close();
      connections.store.close();
    }
  }

  /** The corpora with live utterances; with `--all`, also corpora that have settings of their own and no recordings now. */
  private async corporaOf({ corpus, all }: Options, alive: string[], { store }: Connections): Promise<string[]> {
    if (!all && corpus !== undefined) {
      if (alive.includes(corpus)) return [corpus];
      throw new PipelineError(
        'CONFIG_INVALID',
        `--corpus ${corpus}: there is no such corpus. The corpora are: ${alive.join(', ') || 'none yet'}.`,
      );
    }
    const named = new Set(alive);
    for await (const { key } of store.list(featureSettingsPrefix)) named.add(parseFeatureSettingsKey(key) ?? alive[0] ?? '');
    return [...named].filter((name) => name !== '').sort();
  }

  @Option({ flags: '--corpus <name>', description: 'reprocess this corpus' })
  parseCorpus(name: string): string {
    return name;
  }

  @Option({ flags: '--all', description: 'reprocess every present corpus; later corpora get the settings of the features service' })
  parseAll(): boolean {
    return true;
  }

  @Option({
    flags: '--set <name=value...>',
    description: 'give the corpus feature settings of its own, for instance bandLimitHz=4000 layout=centre',
  })
  parseSet(pair: string, before: FeatureOverrides = {}): FeatureOverrides {
    return { ...before, ...parseOverride(pair) };
  }

  @Option({ flags: '--unset <name...>', description: "return these settings to the service's values" })
  parseUnset(name: string, before: (keyof FeatureOverrides)[] = []): (keyof FeatureOverrides)[] {
    return [...before, parseOverrideName(name)];
  }

  @Option({ flags: '--default', description: 'remove all settings that the corpus has of its own' })
  parseDefault(): boolean {
    return true;
  }

  @Option({ flags: '--wait', description: 'wait until every utterance is in a shard or dead-lettered' })
  parseWait(): boolean {
    return true;
  }

  @Option({ flags: '--dry-run', description: 'print which tiles would be made again, and change nothing' })
  parseDryRun(): boolean {
    return true;
  }

  @Option({ flags: '--json', description: 'print JSON, for scripts' })
  parseJson(): boolean {
    return true;
  }
}

function changeOf({ corpus, all, set = {}, unset = [], default: toDefault = false }: Options): OverrideChange {
  const refuse = (why: string): never => {
    throw new PipelineError('CONFIG_INVALID', why);
  };
  if ((corpus === undefined) === (all === undefined)) refuse('Name one corpus with --corpus, or give --all for every corpus.');
  if (toDefault && (unset.length > 0 || Object.keys(set).length > 0))
    refuse('--default removes all settings, so it cannot be combined with --set or --unset. Give one or the other.');
  return { set, unset, toDefault };
}

interface State {
  covered: number;
  live: number;
  /** @returns true if the trainer reads these tiles; null if it does not answer */
  trainerHasMoved: boolean | null;
}

async function untilCovered(
  plans: CorpusPlan[],
  { work, publisher, isQuiet }: { work: CorpusReprocessing; publisher: Publisher<'cli'>; isQuiet: boolean },
): Promise<void> {
  const progress = new LiveProgress(process.stdout);
  const before = sumOf(plans, work);
  const startedAtMs = performance.now();
  let hintedAtMs = startedAtMs;
  for (let now = before; now.covered < now.live; now = sumOf(plans, work)) {
    if (!isQuiet) progress.show([progressLine(now, now.covered - before.covered, performance.now() - startedAtMs)]);
    await sleep(progressIntervalMs);
    if (performance.now() - hintedAtMs < hintIntervalMs) continue;
    await work.hint(plans, publisher);
    hintedAtMs = performance.now();
  }
  progress.clear();
}

function sumOf(plans: CorpusPlan[], work: CorpusReprocessing): { covered: number; live: number } {
  const all = plans.map(({ corpus, next }) => work.coverageOf(corpus, next.hash));
  return { covered: all.reduce((sum, each) => sum + each.covered, 0), live: all.reduce((sum, each) => sum + each.live, 0) };
}

function progressLine({ covered, live }: { covered: number; live: number }, made: number, elapsedMs: number): string {
  const left = made > 0 ? `, ${asDuration(((live - covered) * elapsedMs) / made / 1000)} left` : '';
  return `  ${covered} of ${live} utterances${left}`;
}

async function stateOf({ corpus, next }: CorpusPlan, work: CorpusReprocessing, connections: Connections): Promise<State> {
  const { covered, live } = work.coverageOf(corpus, next.hash);
  const trainer = await askTrainer(connections);
  return { covered, live, trainerHasMoved: trainer && trainer.settings[corpus] === next.hash };
}

const sizeOf = ({ coverage }: CorpusPlan): number => coverage.missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function linesOf(plan: CorpusPlan): string[] {
  const { corpus, now, next, coverage, hasNewGeometry } = plan;
  const { missing, missingAudioSec, live } = coverage;
  const known = missingAudioSec > 0 ? `, ${asDuration(missingAudioSec)} of audio, as far as it is known` : '';
  const geometry = `${next.settings.rows} × ${next.settings.width}`;
  return [
    `corpus ${corpus}`,
    now.hash === next.hash
      ? `  settings  ${now.hash}: ${spoken(now)}; unchanged`
      : `  settings  ${now.hash}: ${spoken(now)}\n         →  ${next.hash}: ${spoken(next)}`,
    `  to make   ${missing.length} of ${counted(live, 'utterance')}${known}, ${asBytes(sizeOf(plan))} to read`,
    ...(hasNewGeometry
      ? [
          `  ! tiles of ${geometry} are another geometry. The trainer begins a new run once all corpora have such tiles. This command changes no other corpus; --all changes all.`,
        ]
      : []),
  ];
}

function spoken({ overrides }: CorpusPlan['now']): string {
  const own = Object.entries(overrides).map(([name, value]) => `${name}=${value === null ? 'none' : value}`);
  return own.length > 0 ? own.join(' ') : "the service's";
}

function closingLines(plans: CorpusPlan[], states: State[]): string[] {
  return plans.map(({ corpus, next, hasNewGeometry }, at) => {
    const { covered = 0, live = 0, trainerHasMoved = null } = states[at] ?? {};
    const place = `corpus ${corpus}: ${covered} of ${live} under ${next.hash}`;
    if (covered < live)
      return `${place}; \`undertone status\` shows the progress. The trainer switches to the new tiles by itself when all exist`;
    if (trainerHasMoved) return `${place}; the trainer has switched, and its next round has these tiles`;
    if (hasNewGeometry) return `${place}; the trainer begins a new run once every corpus has tiles of this geometry`;
    return `${place}; ${trainerHasMoved === null ? 'the trainer does not answer, but it' : 'the trainer'} switches to them by itself`;
  });
}

const asJson = ({ corpus, now, next, coverage, isChange, hasNewGeometry, ...rest }: CorpusPlan) => ({
  corpus,
  now: { hash: now.hash, overrides: now.overrides },
  next: { hash: next.hash, overrides: next.overrides },
  isChange,
  hasNewGeometry,
  toMake: {
    utterances: coverage.missing.length,
    audioSecKnown: coverage.missingAudioSec,
    sizeBytes: sizeOf({ corpus, now, next, coverage, isChange, hasNewGeometry, ...rest }),
  },
});
