import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { deadLetterSchema, type DeadLetter } from '#contracts/dead-letters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { DeadLetterOffice, type RecordOrigin, type Subject } from './dead-letter-office.js';

const place = { topic: 'undertone.bucket-events.v1', partition: 0, offset: '7' };

async function letterOf(record: Partial<RecordOrigin>, subject: Subject = {}, message = 'no known form'): Promise<DeadLetter> {
  const written: DeadLetter[] = [];
  const office = new DeadLetterOffice(
    { publish: (_topic, ...facts) => Promise.resolve(void written.push(...(facts as unknown[] as DeadLetter[]))) },
    'ingest',
  );
  const origin = { ...place, key: null, value: null, ...record };
  await office.writeLetter(origin, subject, new PipelineError('BUCKET_EVENT_UNRECOGNISED', message));
  return deadLetterSchema.parse(JSON.parse(JSON.stringify(written[0])));
}

it('writes a small record whole, without a cut', async () => {
  const value = Buffer.from([0xff, 0x00, 0x7b]);
  expect((await letterOf({ key: Buffer.from('k'), value })).origin).toEqual({
    ...place,
    keyBase64: 'aw==',
    valueBase64: value.toString('base64'),
  });
  expect((await letterOf({})).origin).toEqual({ ...place, keyBase64: null, valueBase64: null });
});

it('writes the first 16 kB of a large record, and the size and sha256 of the whole', async () => {
  const value = Buffer.alloc(760_000, 'junk');
  const letter = await letterOf({ key: Buffer.alloc(900_000, 'k'), value });
  expect(letter.origin.cut).toEqual({ valueSizeBytes: 760_000, valueSha256: createHash('sha256').update(value).digest('hex') });
  expect(Buffer.from(letter.origin.valueBase64 ?? '', 'base64')).toEqual(value.subarray(0, 16_384));
  expect(JSON.stringify(letter).length).toBeLessThan(30_000);
});

it('keeps a letter small even with long names and a long message', async () => {
  const long = 'n'.repeat(900_000);
  const letter = await letterOf({ value: Buffer.from('{}') }, { objectKey: long, utteranceId: long, version: 'v1' }, long);
  expect(letter).toMatchObject({ version: 'v1' });
  expect([letter.objectKey, letter.utteranceId]).toEqual([undefined, undefined]);
  expect(letter.message).toMatch(/^n+… \(900000 characters in all\)$/);
  expect(JSON.stringify(letter).length).toBeLessThan(30_000);
});
