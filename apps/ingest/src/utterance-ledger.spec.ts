/** What ingest takes for the current record, while its own sends and the topic's records cross. */
import { describe, expect, it } from 'vitest';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { UtteranceLedger } from './utterance-ledger.js';

const record = (version: string): UtteranceIngested => ({
  utteranceId: 'a/1.wav',
  version: version.padEnd(16, '0'),
  corpus: 'a',
  objectKey: 'corpora/a/1.wav',
  etag: 'e',
  sizeBytes: 1,
  labels: {},
  split: 'train',
  withheld: false,
  silence: 'none',
  ingestedAt: '2026-01-01T00:00:00.000Z',
});
const id = 'a/1.wav';
const sent = (): Promise<void> => Promise.resolve();

describe('the ledger', () => {
  it('counts what was sent until it is read', async () => {
    const ledger = new UtteranceLedger();
    ledger.apply(id, record('old'));
    await ledger.send(id, record('new'), sent);
    expect(ledger.get(id)).toEqual(record('new'));
    ledger.apply(id, record('older'));
    expect(ledger.get(id), 'after a record from before ours').toEqual(record('new'));
    ledger.apply(id, record('new'));
    expect(ledger.get(id)).toEqual(record('new'));
  });

  it('follows the topic where another wrote after ours, also when ours is acknowledged later than it is read', async () => {
    const ledger = new UtteranceLedger();
    await ledger.send(id, record('new'), () => {
      ledger.apply(id, record('new'));
      ledger.apply(id, record('late'));
      return sent();
    });
    expect(ledger.get(id)).toEqual(record('late'));
  });

  it('counts a tombstone that was sent, and forgets one that could not be', async () => {
    const ledger = new UtteranceLedger();
    ledger.apply(id, record('old'));
    await expect(ledger.send(id, null, () => Promise.reject(new Error('no broker')))).rejects.toThrow('no broker');
    expect([...ledger.all()]).toEqual([record('old')]);
    await ledger.send(id, null, sent);
    expect(ledger.get(id)).toBeUndefined();
    expect([...ledger.all()]).toEqual([]);
  });

  it('tells once of each utterance that the topic had records of', async () => {
    const ledger = new UtteranceLedger();
    await ledger.send(id, record('new'), sent);
    expect([...ledger.takeChanged()]).toEqual([]);
    ledger.apply(id, record('new'));
    expect([...ledger.takeChanged()]).toEqual([id]);
    expect([...ledger.takeChanged()]).toEqual([]);
  });
});
