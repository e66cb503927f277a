import { expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { ReplayPlan } from './replay-plan.js';

const letter = (more: Partial<DeadLetter>): DeadLetter => ({
  stage: 'features',
  code: 'DECODER_MISSING',
  message: 'there is no ffmpeg',
  origin: { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: 'bm9uc2Vuc2U=' },
  failedAt: '2026-01-01T00:00:00.000Z',
  ...more,
});
const about = (path: string, more: Partial<DeadLetter> = {}): DeadLetter =>
  letter({ objectKey: `corpora/c/${path}`, utteranceId: `c/${path}`, version: 'v', ...more });
const isOpen = ({ utteranceId }: Pick<DeadLetter, 'utteranceId'>): boolean => utteranceId !== 'c/mended';

it('plans each object with an open dead letter once, and counts each letter once', () => {
  const told: string[] = [];
  const plan = new ReplayPlan({ isOpen }, { onLetter: ({ objectKey }) => told.push(String(objectKey)) });
  for (const each of [about('b'), about('a'), about('b'), about('a', { code: 'AUDIO_EMPTY' }), about('mended'), letter({})])
    plan.take(each);
  expect([plan.keys, plan.letters]).toEqual([['corpora/c/a', 'corpora/c/b'], 4]);
  expect(told).toEqual(['corpora/c/b', 'corpora/c/a', 'corpora/c/a', 'undefined']);
});

it('takes letters of the chosen code only, and continues the trace of the newest letter', () => {
  const plan = new ReplayPlan({ isOpen }, { code: 'DECODER_MISSING' });
  const trace = (digit: string): string => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;
  for (const each of [
    about('a', { traceparent: trace('1') }),
    about('a', { traceparent: trace('2') }),
    about('e', { code: 'AUDIO_EMPTY' }),
  ])
    plan.take(each);
  expect([plan.keys, plan.letters, plan.traceparentOf('corpora/c/a')]).toEqual([['corpora/c/a'], 1, trace('2')]);
});
