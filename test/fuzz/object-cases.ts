/** Cases that lie in the bucket: audio, annotations, archives, settings, and recordings for which the store has answers of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { corpusKey, featureSettingsKey, utteranceIdOf } from '#contracts/object-keys.js';
import { packageRoot } from '#service/package-root.js';
import { brokenAudio, goodAudio } from '../chaos/made-audio.js';
import type { SeededRandom } from '../chaos/seeded-random.js';
import { toneWav } from '../integration/made-corpus.js';
import { encodedLossy } from '../integration/made-drop.js';
import { damaged, damagedText, hostileCopy, hostileWords, noise } from './damage.js';
import type { FuzzWorld } from './fuzz-world.js';
import { answersByName } from './hostile-store.js';

/** @returns what kind of case it was */
export type FuzzCase = (world: FuzzWorld, random: SeededRandom, number: number) => Promise<string>;

export const damagedAudio: FuzzCase = async ({ pipeline, account }, random, number) => {
  const seed = random.below(1e6);
  const [ending, bytes] = random.pick<() => [string, Uint8Array]>([
    () => ['wav', goodAudio('wav', seed).bytes],
    () => ['flac', random.pick(smallFlacs())],
    () => random.pick(encodedLossy()),
  ])();
  const isBroken = random.chance(0.2);
  const path = `${number}.${random.chance(0.1) ? 'wav' : ending}`;
  const key = corpusKey(`fuzz-audio-${number % 10}`, path);
  account.describe(key, `damaged ${ending}`);
  await pipeline.store.put(key, isBroken ? brokenAudio('wav', seed).bytes : damaged(bytes, random));
  return `audio: ${ending}`;
};

let flacs: Uint8Array[] | undefined;
function smallFlacs(): Uint8Array[] {
  const folder = join(packageRoot, 'libs/audio/fixtures');
  flacs ??= readdirSync(folder)
    .filter((name) => name.endsWith('.flac'))
    .map((name) => new Uint8Array(readFileSync(join(folder, name))))
    .filter(({ length }) => length < 20_000);
  return flacs;
}

interface AnnotatedCorpus {
  annotations: [path: string, text: string];
  recordings: readonly string[];
}

const emotionLine = (path: string): string => `${path},s1,female,sad,2.5,3,1,train`;
const annotated: Record<string, AnnotatedCorpus> = {
  'manifest.csv': {
    annotations: [
      'manifest.csv',
      `path,speaker,gender,emotion,activation,valence,session,split\n${emotionLine('a.wav')}\n${emotionLine('b.wav')}\n`,
    ],
    recordings: ['a.wav', 'b.wav'],
  },
  'manifest.jsonl': {
    annotations: [
      'manifest.jsonl',
      '{"path":"a.wav","speaker":"s1","emotion":"sad","activation":2}\n{"path":"b.wav","emotion":"joy","split":"dev"}\n',
    ],
    recordings: ['a.wav', 'b.wav'],
  },
  'corpus.json': {
    annotations: ['corpus.json', '{"reader":"manifest","silence":"ends","labels":{"joie":"happy","ennui":null}}'],
    recordings: ['a.wav', 'b.wav'],
  },
  iemocap: {
    annotations: [
      'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt',
      '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 3.5000, 2.5000]\nC-E2:\tNeutral;\t()\n',
    ],
    recordings: ['Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav'],
  },
  'msp-improv': {
    annotations: [
      'Evalution.txt',
      'UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.400000; V:1.600000; D:3.200000; N:3.400000;\nWORKER00000001; Angry; Angry;\n',
    ],
    recordings: ['Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav'],
  },
  'crema-d': {
    annotations: [
      'VideoDemographics.csv',
      'ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Caucasian,Not Hispanic\n',
    ],
    recordings: ['AudioWAV/1001_IEO_ANG_LO.wav', 'AudioWAV/1002_DFA_SAD_XX.wav'],
  },
  librispeech: {
    annotations: ['SPEAKERS.TXT', ';ID  |SEX| SUBSET           |MINUTES| NAME\n14   | F | train-clean-360  | 25.03 | A Name\n'],
    recordings: ['train-clean-360/14/208/14-208-0000.flac'],
  },
};

/** Annotations come first: a recording that was decided about before them would be decided about twice. */
export const damagedAnnotations: FuzzCase = async ({ pipeline, account }, random, number) => {
  const format = random.pick(Object.keys(annotated));
  const { annotations, recordings } = annotated[format] as AnnotatedCorpus;
  const [path, text] = annotations;
  const corpus = random.chance(0.05) ? `${random.pick(['constructor', '__proto__', 'toString', 'a b', 'ü'])}-${number}` : `fuzz-${number}`;
  account.describe(corpus, `a recording beside a damaged ${format}`);
  const bytes =
    format === 'corpus.json' && random.chance(0.5)
      ? Buffer.from(JSON.stringify(hostileCopy(JSON.parse(text), random)))
      : damagedText(text, random);
  await pipeline.store.put(corpusKey(corpus, path), bytes);
  for (const recording of recordings)
    await pipeline.store.put(corpusKey(corpus, recording), toneWav({ durationSec: 0.3, pitchHz: 100 + (number % 200) }));
  return `annotations: ${format}`;
};

export const damagedArchive: FuzzCase = async ({ pipeline, account }, random, number) => {
  const ending = random.pick(['zip', 'tar', 'tar.gz']);
  const genuine = ending === 'zip' ? random.pick(zips()) : await madeTar(random, number);
  const packed = ending === 'tar.gz' ? gzipSync(genuine) : genuine;
  const bytes = random.chance(0.1) ? noise(random, 300) : damaged(packed, random);
  const key = corpusKey(`fuzz-archive-${number}`, `all.${ending}`);
  account.describe(key, `a damaged ${ending}`);
  account.describe(`fuzz-archive-${number}`, `a recording of a damaged ${ending}`);
  await pipeline.store.put(key, bytes);
  return `archive: ${ending}`;
};

let zipFiles: Buffer[] | undefined;
function zips(): Buffer[] {
  const folder = join(packageRoot, 'apps/ingest/fixtures/archives');
  zipFiles ??= readdirSync(folder)
    .filter((name) => name.endsWith('.zip'))
    .map((name) => readFileSync(join(folder, name)));
  return zipFiles;
}

async function madeTar(random: SeededRandom, number: number): Promise<Buffer> {
  const tar = pack();
  for (let n = 0; n < 3; n++) {
    const name = random.chance(0.2) ? `${random.pick(hostileWords).slice(0, 80).replaceAll('\u0000', '0')}/${n}.wav` : `folder/${n}.wav`;
    tar.entry({ name }, Buffer.from(toneWav({ durationSec: 0.2, pitchHz: 100 + 10 * n + (number % 100) })));
  }
  tar.finalize();
  return buffer(tar);
}

/** A recording for which the store gives an answer of its own; its name says which. */
export const answerOfStore: FuzzCase = async ({ pipeline, account }, random, number) => {
  const name = random.pick(Object.keys(answersByName));
  const code = answersByName[name]?.code ?? null;
  const corpus = `fuzz-store-${number % 5}`;
  const path = `${name}-${number}.wav`;
  if (code === null) account.expectGood(utteranceIdOf(corpus, path));
  else account.expectCode(utteranceIdOf(corpus, path), code);
  account.describe(corpusKey(corpus, path), 'an answer of the store');
  await pipeline.store.put(corpusKey(corpus, path), toneWav({ durationSec: 0.3, pitchHz: 100 + (number % 300) }));
  return `store: ${name}`;
};

/** Settings of a corpus that nobody has: they must not harm the others. */
export const damagedSettings: FuzzCase = async ({ pipeline }, random, number) => {
  const overrides = { rows: 64, width: 128, scale: 'mel', layout: 'tiles', maxDurationSec: 30 };
  const choices: (() => Uint8Array)[] = [
    () => damagedText(JSON.stringify(overrides), random),
    () => Buffer.from(JSON.stringify(hostileCopy(overrides, random))),
    () => Buffer.from(`{"rows":${'['.repeat(100_000)}`),
    () => Buffer.from('{"scale":"mel","rows":2147483648,"width":9007199254740991}'),
  ];
  await pipeline.store.put(featureSettingsKey(`fuzz-nobody-${number % 3}`), random.pick(choices)());
  return 'settings of a corpus';
};
