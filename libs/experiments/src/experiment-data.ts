/**
 * The utterances of an experiment: of the shards, those of its corpora that it goes by (paper, Section IV-A: of the emotional
 * corpora the utterances of four categories), each with a known speaker.
 */
import { carriesTarget, type Labels } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { sessionOf } from '#corpora/sessions.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';
import { corpusOf } from '#contracts/object-keys.js';
import { assignFolds } from './assign-folds.js';
import type { ExperimentFile } from './experiment-file.js';
import type { ExperimentResults } from './experiment-results.js';

export interface ExperimentData {
  view: TrainingView;
  /** [rows, frames] of every tile. */
  tileShape: [number, number];
  /** Of the corpus whose speakers are in the folds, in order of id. */
  primary: ViewUtterance[];
  /** Learnt from, without their emotions. */
  auxiliary: ViewUtterance[];
  /** Of another corpus than the folds'; null where the test is a fold. */
  test: ViewUtterance[] | null;
  /** Of each utterance of `primary`. */
  foldOf: ReadonlyMap<string, number>;
  /** What was left out, and other things that a reader has to know. */
  findings: string[];
}

/** @throws PipelineError CONFIG_INVALID where a corpus is not there or its speakers are too few */
export function experimentData(file: ExperimentFile, view: TrainingView, tileShape: [number, number]): ExperimentData {
  const findings: string[] = [];
  const byCorpus = Map.groupBy(view.utterances, ({ utteranceId }) => corpusOf(utteranceId));
  const of = (corpus: string): ViewUtterance[] => {
    const found = byCorpus.get(corpus);
    if (found) return found;
    throw new PipelineError('CONFIG_INVALID', `There is no corpus ${corpus} in the shards; there are ${[...byCorpus.keys()].join(', ')}`);
  };
  const counted = (corpus: string): ViewUtterance[] => scoredUtterances(of(corpus), { corpus, file, findings });
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
  const auxiliary = file.auxiliary.flatMap((corpus) => of(corpus).map(withoutEmotion));
  const test = file.testCorpus === undefined ? null : counted(file.testCorpus);
  return { view, tileShape, primary, auxiliary, test, foldOf, findings };
}

function scoredUtterances(
  utterances: readonly ViewUtterance[],
  { corpus, file, findings }: { corpus: string; file: ExperimentFile; findings: string[] },
): ViewUtterance[] {
  const targets = file.rows.filter(({ quotedOnly }) => !quotedOnly).map(({ target }) => target);
  const isLabelled = ({ labels }: ViewUtterance): boolean =>
    file.fourCategoriesOnly ? labels.category !== undefined : targets.some((target) => carriesTarget(labels, target));
  const labelled = utterances.filter(isLabelled);
  const known = labelled.filter(({ labels }) => labels.speakerId !== undefined);
  const note = (count: number, why: string): void => {
    if (count > 0) findings.push(`${corpus}: ${count} utterances are left out, ${why}`);
  };
  note(utterances.length - labelled.length, file.fourCategoriesOnly ? 'none of the four categories' : 'without a label that is asked for');
  note(labelled.length - known.length, 'nobody knows of whom');
  if (known.length === 0)
    throw new PipelineError('CONFIG_INVALID', `No utterance of ${corpus} has both a label and a speaker: there is nothing to score`);
  return known;
}

/** Auxiliary corpora are for auxiliary tasks alone, whatever else they know. */
function withoutEmotion(utterance: ViewUtterance): ViewUtterance {
  const { speakerId, gender, session } = utterance.labels;
  const labels: Labels = { speakerId, gender, session };
  return { ...utterance, labels, stream: 'unlabelled' };
}

/** What the report says of the corpora. */
export function describeData({ view, primary, auxiliary, test }: ExperimentData): ExperimentResults['data'] {
  const corpora = Map.groupBy([...primary, ...auxiliary, ...(test ?? [])], ({ utteranceId }) => corpusOf(utteranceId));
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
