import { describe, expect, it } from 'vitest';
import { deadLetterIdentity, deadLetters, type DeadLetter } from './dead-letters.js';

const origin = { topic: 'undertone.utterances.v1', partition: 2, offset: '41', keyBase64: null, valueBase64: null };
const letter: DeadLetter = {
  stage: 'features',
  code: 'AUDIO_TRUNCATED',
  message: 'the FLAC file ends after 30412 of 44100 samples',
  origin,
  objectKey: 'corpora/acted/m02.flac',
  utteranceId: 'acted/m02.flac',
  version: 'a92c1d3e4f5a6b7c',
  failedAt: '2026-11-22T09:20:01.000Z',
};
const identity = deadLetterIdentity(letter);

describe('the identity of a dead letter', () => {
  it('stays the same when Kafka delivers its record again, later and at another offset', () => {
    const again = { ...letter, origin: { ...origin, offset: '97' }, failedAt: '2026-11-22T10:00:00.000Z', message: 'worded anew' };
    expect(deadLetterIdentity(again)).toBe(identity);
  });

  it.each([{ stage: 'trainer' }, { utteranceId: 'acted/m03.flac' }, { version: '0123456789abcdef' }, { code: 'AUDIO_SILENT' }] as const)(
    'is another with %o',
    (change) => {
      expect(deadLetterIdentity({ ...letter, ...change })).not.toBe(identity);
    },
  );

  it('names the object if the utterance is unknown', () => {
    const byObject = { ...letter, utteranceId: undefined };
    expect(deadLetterIdentity({ ...byObject, origin: { ...origin, offset: '97' } })).toBe(deadLetterIdentity(byObject));
    expect(deadLetterIdentity({ ...byObject, objectKey: 'corpora/acted/m03.flac' })).not.toBe(deadLetterIdentity(byObject));
  });

  it('names topic, partition and offset if utterance and object are unknown', () => {
    const unknown = { ...letter, utteranceId: undefined, objectKey: undefined, version: undefined };
    const places = [origin, { ...origin, offset: '42' }, { ...origin, partition: 3 }, { ...origin, topic: 'undertone.object-hints.v1' }];
    expect(new Set(places.map((place) => deadLetterIdentity({ ...unknown, origin: place }))).size).toBe(places.length);
  });
});

describe('the key of a dead letter', () => {
  it('is the utterance id, else the object key, else null', () => {
    const keys = [letter, { ...letter, utteranceId: undefined }, { ...letter, utteranceId: undefined, objectKey: undefined }].map(
      deadLetters.keyOf,
    );
    expect(keys).toEqual(['acted/m02.flac', 'corpora/acted/m02.flac', null]);
  });
});
