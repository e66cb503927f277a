/** Makes a small corpus of WAV files with tones. Speakers differ in pitch, emotions in the glide of the pitch. Also makes a very slow file. */
import { encodeWav } from '#audio/decode/encode-wav.js';
import { emotionCategories } from '#contracts/labels.js';
import { corpusKey } from '#contracts/object-keys.js';
import type { ObjectStore } from '#storage/object-store.js';

const sampleRateHz = 16_000;

/** @param pitchHz of the first harmonic; the pitch glides by `glide` over the file */
export function toneWav({ pitchHz = 150, glide = 0, durationSec = 0.8 } = {}): Uint8Array {
  const samples = new Float32Array(Math.round(sampleRateHz * durationSec));
  let phase = 0;
  for (let i = 0; i < samples.length; i++) {
    phase += (2 * Math.PI * pitchHz * (1 + (glide * i) / samples.length)) / sampleRateHz;
    samples[i] = 0.3 * Math.sin(phase) + 0.2 * Math.sin(3 * phase) + 0.1 * Math.sin(7 * phase) + 0.01 * Math.sin(i * i);
  }
  return encodeWav([samples], { sampleRateHz });
}

/** Hours of 8-bit audio at 4 kHz. Ten hours block a worker for about ten seconds without interruption. */
export function endlessWav({ hours = 10 } = {}): Uint8Array {
  const samples = hours * 3_600 * 4_000;
  const wav = Buffer.alloc(44 + samples, 0x80);
  wav.write('RIFF');
  wav.writeUInt32LE(36 + samples, 4);
  wav.write('WAVEfmt ', 8);
  wav.set([16, 0, 0, 0, 1, 0, 1, 0, 0xa0, 0x0f, 0, 0, 0xa0, 0x0f, 0, 0, 1, 0, 8, 0], 16);
  wav.write('data', 36);
  wav.writeUInt32LE(samples, 40);
  return wav.fill('undertone', 44, 8_000);
}

export interface MadeCorpus {
  /** Paths inside the corpus, without the manifest. */
  paths: string[];
  manifest: string;
}

/** Speakers s0, s1 and so on: s0 is test, and the next `devSpeakers` are dev. Each has `each` utterances of every emotion. */
export async function putMadeCorpus(
  store: ObjectStore,
  corpus: string,
  { speakers = 6, devSpeakers = 1, each = 2 } = {},
): Promise<MadeCorpus> {
  const rows = ['path,speaker,gender,emotion,split'];
  const paths: string[] = [];
  const puts: (() => Promise<unknown>)[] = [];
  for (let speaker = 0; speaker < speakers; speaker++) {
    const split = speaker === 0 ? 'test' : speaker <= devSpeakers ? 'dev' : 'train';
    for (const [place, emotion] of emotionCategories.entries()) {
      for (let take = 0; take < each; take++) {
        const path = `s${speaker}/${emotion}-${take}.wav`;
        paths.push(path);
        rows.push(`${path},s${speaker},${speaker % 2 === 0 ? 'female' : 'male'},${emotion},${split}`);
        const wav = toneWav({ pitchHz: 110 + 30 * speaker + take, glide: place * 0.3 - 0.4 });
        puts.push(() => store.put(corpusKey(corpus, path), wav));
      }
    }
  }
  const manifest = `${rows.join('\n')}\n`;
  await store.put(corpusKey(corpus, 'manifest.csv'), manifest);
  for (const put of puts) await put();
  return { paths, manifest };
}
