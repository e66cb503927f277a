/** The ledger knows the current record while ingest's own sends and the topic's records cross. */
import { describe, expect, it } from 'vitest';
import { madeUtterance } from '#contracts/made-facts.fixture.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { UtteranceLedger } from './utterance-ledger.js';

const record = (version: string): UtteranceIngested => madeUtterance('a/1.wav', { version: version.padEnd(16, '0') });
const id = 'a/1.wav';
const sent = (): Promise<void> => Promise.resolve();

describe('the ledger', () => {
  it('counts a sent record as current until it is read', async () => {
    const ledger = new UtteranceLedger();
    ledger.apply(id, record('old'));
    await ledger.send(id, record('new'), sent);
    expect(ledger.get(id)).toEqual(record('new'));
    ledger.apply(id, record('older'));
    expect(ledger.get(id), 'after a record written before the own one').toEqual(record('new'));
    ledger.apply(id, record('new'));
    expect(ledger.get(id)).toEqual(record('new'));
  });

  it('follows the topic if another instance wrote later, even if the own acknowledgement arrives last', async () => {
    const ledger = new UtteranceLedger();
    await ledger.send(id, record('new'), () => {
      ledger.apply(id, record('new'));
      ledger.apply(id, record('late'));
      return sent();
    });
    expect(ledger.get(id)).toEqual(record('late'));
  });

  it('counts a sent tombstone, and drops one that could not be sent', async () => {
    const ledger = new UtteranceLedger();
    ledger.apply(id, record('old'));
    await expect(ledger.send(id, null, () => Promise.reject(new Error('no broker')))).rejects.toThrow('no broker');
    expect([...ledger.all()]).toEqual([record('old')]);
    await ledger.send(id, null, sent);
    expect(ledger.get(id)).toBeUndefined();
    expect([...ledger.all()]).toEqual([]);
  });

  it('reports each utterance with new records once', async () => {
    const ledger = new UtteranceLedger();
    await ledger.send(id, record('new'), sent);
    expect([...ledger.takeChanged()]).toEqual([]);
    ledger.apply(id, record('new'));
    expect([...ledger.takeChanged()]).toEqual([id]);
    expect([...ledger.takeChanged()]).toEqual([]);
  });
});
