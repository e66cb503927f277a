/** Describes an object of a corpus as an utterance record. Its version follows from the object's head and its annotations. */
import type { Labels } from '#contracts/labels.js';
import { utteranceIdOf } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { utteranceVersion, type UtteranceIngested } from '#contracts/utterances.js';
import type { Annotation } from '#corpora/corpus-reader.js';
import { carriedEdges } from '#corpora/levels.js';
import { hashedSplit, isWithheld } from '#corpora/splits.js';
import type { ObjectHead } from '#storage/object-store.js';
import type { Corpus } from './corpus-catalogue.js';

export interface DescribedObject {
  record: UtteranceIngested;
  /** The reason why it has no category although its corpus names an emotion. */
  noCategoryBecause: string | undefined;
}

/** @throws PipelineError MANIFEST_INVALID if the utterance's own annotation cannot be used */
export function describeObject(corpus: Corpus, head: ObjectHead, path: string): DescribedObject {
  const annotation = annotationOf(corpus, path);
  const utteranceId = utteranceIdOf(corpus.name, path);
  const ownId = annotation.labels.speakerId;
  const split = annotation.split ?? (ownId === undefined ? 'train' : (corpus.splits.get(ownId) ?? hashedSplit(corpus.name, ownId)));
  // Two corpora may both have a speaker "1", so the speaker id begins with the name of the corpus.
  const speakerId = ownId === undefined ? undefined : `${corpus.name}/${ownId}`;
  const hasDimension = annotation.labels.activation !== undefined || annotation.labels.valence !== undefined;
  const levelEdges = hasDimension ? carriedEdges(corpus.name, corpus.reader.levels) : undefined;
  const labels: Labels = { ...annotation.labels, speakerId, ...(levelEdges && { levelEdges }) };
  const facts = {
    etag: head.etag,
    sizeBytes: head.sizeBytes,
    labels,
    split,
    withheld: isWithheld(split, speakerId, utteranceId),
    silence: corpus.silence,
  };
  const record: UtteranceIngested = {
    utteranceId,
    version: utteranceVersion(facts),
    corpus: corpus.name,
    objectKey: head.key,
    ...facts,
    ingestedAt: new Date().toISOString(),
  };
  return { record, noCategoryBecause: annotation.noCategoryBecause };
}

/** Marks an error as one of this recording's row, so that nobody takes the whole corpus for refused. */
function annotationOf({ annotations }: Corpus, path: string): Annotation {
  try {
    return annotations.annotationOf(path);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    throw new PipelineError(error.code, error.message, { cause: error.cause, context: { ...error.context, rowAlone: true } });
  }
}
