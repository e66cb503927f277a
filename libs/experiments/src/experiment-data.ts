/**
 * Selects the utterances of an experiment from its shards: those of the file's corpora, with a known speaker and, for the
 * emotional corpora, one of the four categories (paper, Section IV-A).
 */
import { carriesTarget, type Labels } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { sessionOf } from '#corpora/sessions.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';
import { corpusOf } from '#contracts/object-keys.js';
import { parseModelSettings } from '#paper/settings.js';
import { targetClassOf } from '#rounds/head-labels.js';
import { assignFolds } from './assign-folds.js';
import { classSettingsOf, type ExperimentFile } from './experiment-file.js';
import type { ExperimentResults } from './experiment-results.js';

export interface ExperimentData {
  view: TrainingView;
  /** [rows, frames] of every tile. */
  tileShape: [number, number];
  /** The corpus whose speakers are in the folds, sorted by id. */
  primary: ViewUtterance[];
  /** Utterances of the same corpus without a class of the target: unlabelled speech, by the fold of its speaker. */
  unlabelled: { utterance: ViewUtterance; fold: number }[];
  /** Corpora used for training only, without their emotion labels. */
  auxiliary: ViewUtterance[];
  /** The test utterances of another corpus; null if the test is a fold. */
  test: ViewUtterance[] | null;
  /** The fold of each utterance of `primary`. */
  foldOf: ReadonlyMap<string, number>;
  /** Notes for the reader of the report, such as the number of utterances left out. */
  findings: string[];
}

/** @throws PipelineError CONFIG_INVALID if a corpus is absent or has too few speakers */
export function experimentData(file: ExperimentFile, view: TrainingView, tileShape: [number, number]): ExperimentData {
  const findings: string[] = [];
  const byCorpus = Map.groupBy(view.utterances, ({ utteranceId }) => corpusOf(utteranceId));
  const utterancesIn = (corpus: string): ViewUtterance[] => {
    const found = byCorpus.get(corpus);
    if (found) return found;
    throw new PipelineError(
      'CONFIG_INVALID',
      `The shards hold no corpus ${corpus}. They hold ${[...byCorpus.keys()].join(', ')}. Name one of these, or put ${corpus} into the shards`,
    );
  };
  const counted = (corpus: string): ViewUtterance[] => scoredUtterances(utterancesIn(corpus), { corpus, file, findings });
  const primary = counted(file.corpus);
  const foldOf = assignFolds(
    primary.map(({ utteranceId, labels }) => ({
      utteranceId,
      speakerId: labels.speakerId ?? '',
      gender: labels.gender ?? null,
      session: sessionOf(labels),
      emotion: labels.category ?? null,
    })),
    file.folds,
  );
  const unlabelled = file.otherEmotions === 'unlabelled' ? otherEmotions(utterancesIn(file.corpus), { primary, foldOf, file }) : [];
  const auxiliary = file.auxiliary.flatMap((corpus) => utterancesIn(corpus).map(withoutEmotion));
  const test = file.testCorpus === undefined ? null : counted(file.testCorpus);
  return { view, tileShape, primary, unlabelled, auxiliary, test, foldOf, findings };
}

function scoredUtterances(
  utterances: readonly ViewUtterance[],
  { corpus, file, findings }: { corpus: string; file: ExperimentFile; findings: string[] },
): ViewUtterance[] {
  const targets = file.rows.filter(({ quotedOnly }) => !quotedOnly).map(({ target }) => target);
  const classes = parseModelSettings(classSettingsOf(file, 'emotion'));
  const isOfClass = (utterance: Pick<ViewUtterance, 'utteranceId' | 'labels'>): boolean => targetClassOf(utterance, classes, null) >= 0;
  const isLabelled = ({ labels }: ViewUtterance): boolean =>
    file.fourCategoriesOnly ? isOfClass({ utteranceId: '', labels }) : targets.some((target) => carriesTarget(labels, target));
  const labelled = utterances.filter(isLabelled);
  const known = labelled.filter(({ labels }) => labels.speakerId !== undefined);
  const note = (count: number, why: string): void => {
    if (count > 0) findings.push(`${corpus}: ${count} utterances are left out: ${why}`);
  };
  const why = file.fourCategoriesOnly ? `their label is none of ${classes.tasks.emotion.join(', ')}` : 'they lack a label that a row needs';
  const isUnlabelledSpeech = corpus === file.corpus && file.otherEmotions === 'unlabelled' && file.folds.by !== 'utterance';
  if (!isUnlabelledSpeech) note(utterances.length - labelled.length, why);
  else if (utterances.length > labelled.length)
    findings.push(
      `${corpus}: ${utterances.length - labelled.length} utterances are unlabelled speech where their speaker is in training: ${why}`,
    );
  note(labelled.length - known.length, 'their speaker is unknown');
  if (known.length === 0)
    throw new PipelineError(
      'CONFIG_INVALID',
      `No utterance of ${corpus} has both a label and a speaker, so there is nothing to score: add them to its manifest`,
    );
  return known;
}

/**
 * The utterances without a class whose speaker (or, in folds by session, whose session) is in some fold. With every speaker in
 * every fold, no fold can be said to have them, and they are left out.
 */
function otherEmotions(
  utterances: readonly ViewUtterance[],
  { primary, foldOf, file }: { primary: readonly ViewUtterance[]; foldOf: ReadonlyMap<string, number>; file: ExperimentFile },
): ExperimentData['unlabelled'] {
  const { by } = file.folds;
  if (by === 'utterance') return [];
  const groupOf = ({ labels }: ViewUtterance): string | null | undefined => (by === 'speaker' ? labels.speakerId : sessionOf(labels));
  const foldOfGroup = new Map(primary.map((utterance) => [groupOf(utterance), foldOf.get(utterance.utteranceId)]));
  const isCounted = new Set(primary.map(({ utteranceId }) => utteranceId));
  return utterances.flatMap((utterance) => {
    const fold =
      isCounted.has(utterance.utteranceId) || utterance.labels.speakerId === undefined ? undefined : foldOfGroup.get(groupOf(utterance));
    return fold === undefined ? [] : [{ utterance: withoutEmotion(utterance), fold }];
  });
}

/** Removes emotion labels: auxiliary corpora serve auxiliary tasks only. */
function withoutEmotion(utterance: ViewUtterance): ViewUtterance {
  const { speakerId, gender, session } = utterance.labels;
  const labels: Labels = { speakerId, gender, session };
  return { ...utterance, labels, stream: 'unlabelled' };
}

/** The counts of each corpus, for the report. */
export function describeData({ view, primary, unlabelled, auxiliary, test }: ExperimentData): ExperimentResults['data'] {
  const corpora = Map.groupBy(
    [...primary, ...unlabelled.map(({ utterance }) => utterance), ...auxiliary, ...(test ?? [])],
    ({ utteranceId }) => corpusOf(utteranceId),
  );
  return {
    corpora: [...corpora].map(([name, utterances]) => ({
      name,
      utterances: utterances.length,
      speakers: new Set(utterances.flatMap(({ labels }) => labels.speakerId ?? [])).size,
      tiles: utterances.reduce((sum, { tileCount }) => sum + tileCount, 0),
      labelled: utterances.filter(({ stream }) => stream === 'labelled').length,
    })),
    viewDigest: view.digest,
    settingsHash: view.settingsHash,
  };
}
