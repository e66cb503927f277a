/**
 * Knows which utterances wait for a score. It compares the live utterances, their tiles, the served model and the scores in the
 * topic, and gives out work: tombstones first, then new utterances, then those that a promotion asks to score again.
 *
 * Delivery: it holds no state of its own that a restart could lose. A new process reads the topics and finds the same work, without
 * the utterances that have their score already. So a killed rescoring continues where it was.
 */
import type { UtteranceScored } from '#contracts/emotions.js';
import type { LiveTiles, TrainingIndex, ViewUtterance } from '#index/training-index.js';
import { modelName, type ServedModel } from '#serving/served-model.js';
import { isRescored, type RescorePolicy } from './rescore-policy.js';

/**
 * `due` waits for its first score of this version, `outdated` for the score of a newer champion. `other-settings`: it has tiles,
 * made with feature settings that the model does not know. `failed`: it has a dead letter for this model.
 */
export const scoreStates = ['scored', 'due', 'outdated', 'without-tiles', 'other-settings', 'without-model', 'failed'] as const;
export type ScoreState = (typeof scoreStates)[number];

/** The parts of a served model that the backlog needs. */
export type BacklogModel = Pick<ServedModel, 'name' | 'accepts'> & { identity: Pick<ServedModel['identity'], 'champion'> };

export interface DueUtterance {
  utterance: ViewUtterance;
  settingsHash: string;
}

export type ScoreWork =
  | { kind: 'tombstones'; utteranceIds: string[] }
  /** All of them lie in one shard. */
  | { kind: 'new' | 'again'; utterances: DueUtterance[] };

interface KnownScore {
  version: string;
  /** RUN/STEP */
  model: string;
}

export interface ScoreBacklogOptions {
  index: TrainingIndex;
  rescore: RescorePolicy;
  /** True if the utterance belongs to this process. */
  owns: (utteranceId: string) => boolean;
  now?: () => number;
}

const tombstonesAtOnce = 500;

export class ScoreBacklog {
  private readonly scores = new Map<string, KnownScore>();
  private readonly states = new Map<string, ScoreState>();
  private readonly perState = new Map<ScoreState, number>(scoreStates.map((state) => [state, 0]));
  private readonly waiting = { new: new Set<string>(), again: new Set<string>(), tombstones: new Set<string>() };
  /** In work now. They are considered again when the work is done. */
  private readonly inWork = new Set<string>();
  /** Versions that this model cannot score, by utterance. */
  private readonly failures = new Map<string, string>();
  /** Utterances whose shard could not be read, and when to try again. */
  private readonly postponed = new Map<string, number>();
  private readonly modelNames = new Map<string, string>();
  private model: BacklogModel | null = null;

  constructor(private readonly options: ScoreBacklogOptions) {}

  /** Call it after the index took the facts about these utterances. */
  consider(utteranceIds: Iterable<string>): void {
    for (const utteranceId of utteranceIds) if (!this.inWork.has(utteranceId)) this.considerOne(utteranceId);
  }

  /** Considers every utterance anew: after the first reading, and when this process owns others than before. */
  considerAll(): void {
    this.consider(new Set([...this.options.index.ids(), ...this.scores.keys()]));
  }

  applyScore(utteranceId: string, fact: Pick<UtteranceScored, 'version' | 'model'> | null): void {
    if (fact) this.scores.set(utteranceId, { version: fact.version, model: this.heldName(modelName(fact.model)) });
    else this.scores.delete(utteranceId);
    this.consider([utteranceId]);
  }

  serve(model: BacklogModel | null): void {
    this.model = model;
    this.failures.clear();
    this.considerAll();
  }

  /** @returns the next work, or null if there is none now. Give it back with `done`. */
  next(maxTiles: number): ScoreWork | null {
    this.wakePostponed();
    const buried = [...take(this.waiting.tombstones, tombstonesAtOnce)];
    if (buried.length > 0) {
      for (const utteranceId of buried) this.begin(utteranceId);
      return { kind: 'tombstones', utteranceIds: buried };
    }
    for (const kind of ['new', 'again'] as const) {
      const utterances = this.oneShard(this.waiting[kind], maxTiles);
      if (utterances.length === 0) continue;
      for (const { utterance } of utterances) this.begin(utterance.utteranceId);
      return { kind, utterances };
    }
    return null;
  }

  /** True if the utterance still has the version that was scored. */
  isStillWanted({ utteranceId, version }: Pick<ViewUtterance, 'utteranceId' | 'version'>): boolean {
    return this.options.index.liveTiles(utteranceId, () => false)?.version === version;
  }

  /** Ends the work on these utterances. Those without a score are considered again at once. */
  done(utteranceIds: Iterable<string>): void {
    for (const utteranceId of utteranceIds) {
      this.inWork.delete(utteranceId);
      this.considerOne(utteranceId);
    }
  }

  /** Notes that the served model cannot score this version. Another version, or another model, may succeed. */
  fail({ utteranceId, version }: Pick<ViewUtterance, 'utteranceId' | 'version'>): void {
    this.failures.set(utteranceId, version);
  }

  /** Tries again later, because the shard cannot be read now. */
  postpone(utteranceId: string, ms: number): void {
    this.postponed.set(utteranceId, this.now() + ms);
  }

  scoreOf(utteranceId: string): KnownScore | null {
    return this.scores.get(utteranceId) ?? null;
  }

  stateOf(utteranceId: string): ScoreState | null {
    return this.states.get(utteranceId) ?? null;
  }

  /** Number of live utterances in each state. */
  get counts(): Record<ScoreState, number> {
    return Object.fromEntries(this.perState) as Record<ScoreState, number>;
  }

  private considerOne(utteranceId: string): void {
    const { index, owns } = this.options;
    const live = index.liveTiles(utteranceId, (hash) => this.model?.accepts(hash) ?? false);
    const state = live && this.decide(utteranceId, live);
    this.enter(utteranceId, state);
    if (!live) this.failures.delete(utteranceId);
    const isMine = owns(utteranceId);
    setMembership(this.waiting.tombstones, utteranceId, isMine && !live && this.scores.has(utteranceId));
    setMembership(this.waiting.new, utteranceId, isMine && state === 'due');
    setMembership(this.waiting.again, utteranceId, isMine && state === 'outdated');
  }

  private decide(utteranceId: string, live: LiveTiles): ScoreState {
    const { rescore } = this.options;
    if (!this.model) return 'without-model';
    const score = this.scores.get(utteranceId);
    const isScored = score?.version === live.version;
    const isOutdated =
      isScored &&
      this.model.identity.champion !== null &&
      score.model !== this.model.name &&
      isRescored(rescore, live.ingestedAtSec, this.now());
    if (isScored && (!isOutdated || !live.tiles)) return 'scored';
    if (this.failures.get(utteranceId) === live.version) return isScored ? 'scored' : 'failed';
    if (!live.tiles) return live.settingsHash === null ? 'without-tiles' : 'other-settings';
    if (this.postponed.has(utteranceId)) return isScored ? 'scored' : 'without-tiles';
    return isOutdated ? 'outdated' : 'due';
  }

  private enter(utteranceId: string, state: ScoreState | null): void {
    const before = this.states.get(utteranceId);
    if (before === (state ?? undefined)) return;
    if (before) this.perState.set(before, (this.perState.get(before) ?? 0) - 1);
    if (!state) return void this.states.delete(utteranceId);
    this.perState.set(state, (this.perState.get(state) ?? 0) + 1);
    this.states.set(utteranceId, state);
  }

  /** The first waiting utterance, and others that wait and lie in the same shard. */
  private oneShard(waiting: ReadonlySet<string>, maxTiles: number): DueUtterance[] {
    const [first] = waiting;
    if (first === undefined) return [];
    const found = this.find(first);
    if (!found) throw new Error(`${first} waits for a score and has no tiles`); // a bug of this program
    const others = this.options.index.idsIn(found.utterance.shardId).filter((each) => each !== first && waiting.has(each));
    const together = [found];
    let tiles = found.utterance.tileCount;
    for (const utteranceId of new Set(others)) {
      const other = this.find(utteranceId);
      if (other?.utterance.shardId !== found.utterance.shardId) continue;
      tiles += other.utterance.tileCount;
      if (tiles > maxTiles) break;
      together.push(other);
    }
    return together;
  }

  private find(utteranceId: string): DueUtterance | null {
    const live = this.options.index.liveTiles(utteranceId, (hash) => this.model?.accepts(hash) ?? false);
    return live?.tiles && live.settingsHash !== null ? { utterance: live.tiles, settingsHash: live.settingsHash } : null;
  }

  private begin(utteranceId: string): void {
    for (const set of Object.values(this.waiting)) set.delete(utteranceId);
    this.inWork.add(utteranceId);
  }

  private wakePostponed(): void {
    const due = [...this.postponed].filter(([, untilMs]) => untilMs <= this.now()).map(([utteranceId]) => utteranceId);
    for (const utteranceId of due) this.postponed.delete(utteranceId);
    this.consider(due);
  }

  /** A million scores name few models. */
  private heldName(name: string): string {
    const held = this.modelNames.get(name) ?? name;
    this.modelNames.set(name, held);
    return held;
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}

function setMembership(set: Set<string>, value: string, isMember: boolean): void {
  if (isMember) set.add(value);
  else set.delete(value);
}

function* take(set: ReadonlySet<string>, count: number): Generator<string> {
  let taken = 0;
  for (const value of set) {
    if (taken++ === count) return;
    yield value;
  }
}
