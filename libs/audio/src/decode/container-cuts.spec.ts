/** Containers made by ffmpeg: whole ones decode however long their other tracks are; cut and damaged ones are refused. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isWhole } from './container-structure.js';
import { decodeAudio } from './decode-audio.js';
import { defaultFeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg } from './ffmpeg-config.js';

const ffmpeg = chooseFfmpeg();
const folder = mkdtempSync(join(tmpdir(), 'undertone-cuts-'));
afterAll(() => rmSync(folder, { recursive: true }));
const SOUND_SEC = 6;
const SOUND = `sine=frequency=300:duration=${SOUND_SEC}:sample_rate=16000,tremolo=f=3`;

/** @param name file name; its ending chooses the container */
function make(name: string, ...args: string[]): Uint8Array {
  const path = join(folder, name);
  const { status, stderr } = spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-y', '-f', 'lavfi', '-i', SOUND, ...args, path]);
  if (status !== 0) throw new Error(stderr.toString());
  return new Uint8Array(readFileSync(path));
}

/** @returns seconds, or the error code */
async function answerTo(bytes: Uint8Array): Promise<number | string> {
  try {
    const { samples, sampleRateHz } = await decodeAudio(bytes, { ...defaultFeatureSettings, timeoutMs: 30_000, ffmpeg });
    return samples.length / sampleRateHz;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

const cutTo = (bytes: Uint8Array, share: number) => bytes.slice(0, Math.floor(bytes.length * share));
const wholeLength = expect.closeTo(SOUND_SEC, 0) as number;

describe.skipIf(!ffmpeg)('a recording', () => {
  it.each<[string, string[], string]>([
    ['a.wav', [], 'AUDIO_TRUNCATED'],
    ['a.flac', [], 'AUDIO_TRUNCATED'],
    ['alaw.wav', ['-c:a', 'pcm_alaw'], 'AUDIO_TRUNCATED'],
    ['a.w64', [], 'AUDIO_TRUNCATED'],
    ['a.aiff', [], 'AUDIO_TRUNCATED'],
    ['a.au', [], 'AUDIO_TRUNCATED'],
    ['a.caf', [], 'AUDIO_TRUNCATED'],
    ['a.mp3', ['-b:a', '64k'], 'AUDIO_TRUNCATED'],
    ['a.mka', ['-c:a', 'libopus'], 'AUDIO_TRUNCATED'],
    ['a.webm', ['-c:a', 'libopus'], 'AUDIO_TRUNCATED'],
    ['live.webm', ['-c:a', 'libopus', '-live', '1'], 'AUDIO_TRUNCATED'],
    ['a.m4a', [], 'AUDIO_UNDECODABLE'], // its tables stand at the end
    ['fast.m4a', ['-movflags', '+faststart'], 'AUDIO_TRUNCATED'],
    ['pieces.mp4', ['-movflags', '+frag_keyframe+empty_moov', '-frag_duration', '500000'], 'AUDIO_TRUNCATED'],
    ['a.wma', ['-c:a', 'wmav2'], 'AUDIO_TRUNCATED'],
  ])('as %s decodes whole, and is refused with half or a tenth cut off', async (name, args, code) => {
    const bytes = make(name, ...args);
    const answers = await Promise.all([1, 0.5, 0.9].map((share) => answerTo(cutTo(bytes, share))));
    expect(answers).toEqual([wholeLength, code, code]);
  });

  it('decodes with a second sound track, subtitles or chapters that last longer', async () => {
    const longer = ['-f', 'lavfi', '-i', 'sine=frequency=200:duration=12:sample_rate=16000', '-map', '0:a', '-map', '1:a'];
    for (const name of ['two.mka', 'two.m4a']) expect(await answerTo(make(name, ...longer))).toEqual(wholeLength);
  });

  it('decodes with a video that lasts longer', async () => {
    const film = ['-f', 'lavfi', '-i', 'color=s=64x64:d=12:r=5', '-map', '0:a', '-map', '1:v', '-c:v', 'mpeg4'];
    for (const name of ['film.mkv', 'film.mp4', 'film.avi']) expect(await answerTo(make(name, ...film))).toEqual(wholeLength);
  });

  it('decodes with a wrong duration in its header, as browsers write it', async () => {
    const bytes = Buffer.from(make('clock.webm', '-c:a', 'libopus'));
    const duration = Buffer.from([0x44, 0x89, 0x88]); // Duration, a double of eight bytes, in milliseconds
    const at = bytes.indexOf(duration) + duration.length;
    for (const milliseconds of [1e3, 60e3, 1.7e12]) {
      bytes.writeDoubleBE(milliseconds, at);
      expect(await answerTo(bytes)).toEqual(wholeLength);
    }
  });

  it('with its middle overwritten is refused, not filled with silence', async () => {
    for (const name of ['d.m4a', 'd.webm', 'd.ogg', 'd.mka', 'd.mp3']) {
      const bytes = make(name, ...(name === 'd.webm' || name === 'd.ogg' ? ['-c:a', 'libopus'] : name === 'd.mka' ? ['-c:a', 'aac'] : []));
      const [from, to] = [Math.floor(0.4 * bytes.length), Math.floor(0.6 * bytes.length)];
      for (let i = from; i < to; i++) bytes[i] = (i * i * 31 + i * 7) & 255;
      expect({ name, answer: await answerTo(bytes) }).toEqual({ name, answer: expect.stringMatching(/^AUDIO_(TRUNCATED|UNDECODABLE)$/) });
    }
  });

  it('above 48 kHz comes out of ffmpeg at 48 kHz', async () => {
    const bytes = make('high.mka', '-ar', '96000', '-c:a', 'flac');
    const { samples, sampleRateHz } = await decodeAudio(bytes, { ...defaultFeatureSettings, timeoutMs: 30_000, ffmpeg });
    expect(sampleRateHz).toBe(48_000);
    expect(samples).toHaveLength(SOUND_SEC * 48_000);
  });
});

describe('the structure of a container', () => {
  it.each(['late-audio.webm', 'whole.webm', 'subtitles.mka', 'plain.m4a', 'mov-no-ftyp.mp4'])(
    'of %s is whole, and no part of it is',
    (name) => {
      const bytes = new Uint8Array(readFileSync(new URL(`../../../../test/golden/audio/cases/${name}`, import.meta.url)));
      const demuxer = /m4a|mp4/.test(name) ? 'mov' : 'matroska';
      expect(isWhole(bytes, demuxer)).toBe(true);
      for (let length = 1; length < bytes.length; length += 131)
        expect(isWhole(bytes.subarray(0, length), demuxer) && length > 64).toBe(false);
    },
  );

  it('of other formats is unknown', () => {
    expect(isWhole(Buffer.from('OggS'), 'ogg')).toBeNull();
  });
});
