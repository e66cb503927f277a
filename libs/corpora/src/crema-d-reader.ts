/**
 * Reads CREMA-D: `AudioWAV/<actor>_<sentence>_<emotion>_<level>.wav` (level LO, MD, HI, or XX for unspecified). The sex of
 * the 91 actors is in `VideoDemographics.csv` (`ActorID,Age,Sex,Race,Ethnicity`). The emotion is the one that the actor
 * played, not the one that raters heard. A clone of the repository has each take as WAV and as MP3; the reader takes the WAV. The recordings are studio takes with silence before and after the sentence, so the
 * reader cuts silence at both ends.
 */
import { parse } from 'csv-parse/sync';
import type { Gender } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { CorpusAnnotations, CorpusReader, ReadOptions } from './corpus-reader.js';
import { categoryLabels, type EmotionWord } from './emotion-labels.js';
import { Remarks } from './remarks.js';

const recording = /(?:^|\/)(1\d{3})_[A-Z]{3}_([A-Z]{3})_(?:LO|MD|HI|XX|X)\.(?:wav|mp3|flac)$/;

const emotions: ReadonlyMap<string, EmotionWord> = new Map([
  ['ANG', 'angry'],
  ['HAP', 'happy'],
  ['NEU', 'neutral'],
  ['SAD', 'sad'],
  ['DIS', 'not disgust'],
  ['FEA', 'not fear'],
]);

const actors = Array.from({ length: 91 }, (_, index) => String(1001 + index));

export const cremaDReader: CorpusReader = {
  name: 'crema-d',
  silence: 'ends',
  annotationPaths: ['VideoDemographics.csv', 'CREMA-D/VideoDemographics.csv'],
  recognises: (path) => recording.test(path),
  takeOf: (path) => (recording.test(path) ? path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('.')) : undefined),
  read: readDemographics,
};

function readDemographics(files: ReadonlyMap<string, string>, { ownWords }: ReadOptions = {}): CorpusAnnotations {
  const genderOf = new Map<string, Gender>();
  const remarks = new Remarks();
  for (const row of [...files].flatMap(([file, text]) => rowsOf(file, text))) {
    const sex = row['Sex']?.trim().toLowerCase();
    if (row['ActorID'] && (sex === 'female' || sex === 'male')) genderOf.set(row['ActorID'].trim(), sex);
    else remarks.count('an actor without id and sex');
  }
  return {
    remarks: remarks.toObject(),
    speakers: actors.map((speakerId) => ({ speakerId, gender: genderOf.get(speakerId) })),
    annotationOf: (path) => {
      const [, actor, code = ''] = recording.exec(path) ?? [];
      if (!actor) return { labels: {} };
      const { category, noCategoryBecause } = categoryLabels(emotions.get(code), ownWords);
      return { labels: { speakerId: actor, gender: genderOf.get(actor), category }, noCategoryBecause };
    },
  };
}

function rowsOf(file: string, text: string): Record<string, string | undefined>[] {
  try {
    return parse(text, { columns: true, bom: true, skip_empty_lines: true, trim: true, relax_column_count: true });
  } catch (error) {
    throw new PipelineError('MANIFEST_INVALID', `${file} cannot be read as CSV: ${(error as Error).message}`, { cause: error });
  }
}
