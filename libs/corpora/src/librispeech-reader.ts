/**
 * Reads LibriSpeech (paper, Section IV-A.3): `<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<nnnn>.flac`, with the gender
 * from `SPEAKERS.TXT`. The corpus has no emotion labels, so all of it is unlabelled.
 */
import type { Gender } from '#contracts/labels.js';
import type { CorpusAnnotations, CorpusReader } from './corpus-reader.js';

const recording = /(?:^|\/)(\d+)\/(\d+)\/\1-\2-\d+\.flac$/;

export const librispeechReader: CorpusReader = {
  name: 'librispeech',
  silence: 'ends',
  annotationPaths: ['SPEAKERS.TXT', 'LibriSpeech/SPEAKERS.TXT'],
  recognises: (path) => recording.test(path),
  read: readSpeakers,
};

function readSpeakers(files: ReadonlyMap<string, string>): CorpusAnnotations {
  const genderOf = new Map<string, Gender>();
  const remarks: Record<string, number> = {};
  for (const line of [...files.values()].flatMap((text) => text.split(/\r?\n/))) {
    if (line.startsWith(';') || line.trim() === '') continue;
    const [speaker, sex] = line.split('|').map((part) => part.trim());
    if (speaker && sex === 'F') genderOf.set(speaker, 'female');
    else if (speaker && sex === 'M') genderOf.set(speaker, 'male');
    else remarks['SPEAKERS.TXT: a line without id and sex'] = (remarks['SPEAKERS.TXT: a line without id and sex'] ?? 0) + 1;
  }
  return {
    remarks,
    annotationOf: (path) => {
      const speakerId = recording.exec(path)?.[1];
      return { labels: speakerId ? { speakerId, gender: genderOf.get(speakerId) } : {} };
    },
  };
}
