import { describe, expect, it } from 'vitest';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { type LiveFormat, LiveSession } from './live-session.js';

interface Answer {
  type: string;
  channel: number;
  startSec: number;
  score: object;
}

/** A session whose score is the WAV file itself. Time is in tens of samples. */
function made(format: LiveFormat, { maxSec = 100, score }: { maxSec?: number; score?: (wav: Uint8Array) => Promise<object> } = {}) {
  const answers: Answer[] = [];
  const problems: string[] = [];
  const session = new LiveSession({
    ...{ format, windowSec: 2.5, everySec: 1, maxSec },
    score: score ?? ((wav) => Promise.resolve({ wav: Buffer.from(wav).toString('base64') })),
    answer: (answer) => void answers.push(answer),
    problem: (place, error) => void problems.push(`${place.type} ${place.startSec}: ${(error as Error).message}`),
  });
  return { session, answers, problems };
}
const pcm = (count: number): Int16Array => Int16Array.from({ length: count }, (_, at) => ((at * 7_919) % 60_000) - 30_000);
const bytesOf = (samples: Int16Array): Buffer => Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
const wavOf = (samples: Int16Array, sampleRateHz: number): string =>
  Buffer.from(encodeWav([Float32Array.from(samples, (sample) => sample / 32_768)], { sampleRateHz })).toString('base64');

describe('a live stream', () => {
  it('is answered every second over the last window, and at the end as the same samples in a file', async () => {
    const { session, answers } = made({ sampleRateHz: 10, channels: 1 });
    const samples = pcm(47);
    for (let at = 0; at < 94; at += 5) session.take(bytesOf(samples).subarray(at, at + 5)); // messages that cut samples in two
    await session.end();
    expect(answers.map(({ type, startSec }) => `${type} ${startSec}`)).toEqual(['window 0', 'window 1', 'window 2', 'whole 0']);
    expect(answers[1]?.score).toEqual({ wav: wavOf(samples.subarray(10, 35), 10) });
    expect(answers[3]?.score).toEqual({ wav: wavOf(samples, 10) });
  });

  it('keeps its channels apart', async () => {
    const { session, answers } = made({ sampleRateHz: 10, channels: 2 });
    const samples = pcm(60);
    session.take(bytesOf(samples));
    await session.end();
    expect(answers.map(({ type, channel }) => `${type} ${channel}`)).toEqual(['window 0', 'window 1', 'whole 0', 'whole 1']);
    expect(answers[3]?.score).toEqual({
      wav: wavOf(
        samples.filter((_, at) => at % 2 === 1),
        10,
      ),
    });
  });

  it('drops no window if the model is slow, and says that it is behind', async () => {
    let release: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    const { session, answers } = made({ sampleRateHz: 10, channels: 1 }, { score: () => slow.then(() => ({})) });
    session.take(bytesOf(pcm(100)));
    expect(session.isBehind).toBe(true);
    release();
    await session.drained();
    expect(session.isBehind).toBe(false);
    expect(answers.map(({ startSec }) => startSec)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('goes on after a window that cannot be scored', async () => {
    let scored = 0;
    const score = (): Promise<object> => (scored++ === 0 ? Promise.reject(new Error('silent')) : Promise.resolve({}));
    const { session, answers, problems } = made({ sampleRateHz: 10, channels: 1 }, { score });
    session.take(bytesOf(pcm(40)));
    await session.end();
    expect(problems).toEqual(['window 0: silent']);
    expect(answers.map(({ type }) => type)).toEqual(['window', 'whole']);
  });

  it('is refused beyond its longest time, and keeps what it has', () => {
    const { session } = made({ sampleRateHz: 10, channels: 1 }, { maxSec: 3 });
    session.take(bytesOf(pcm(30)));
    expect(() => session.take(bytesOf(pcm(1)))).toThrow(/LIVE_MAX_SEC/);
    expect(session.received).toBe(30);
  });
});
