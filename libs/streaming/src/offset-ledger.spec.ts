import { describe, expect, it } from 'vitest';
import { OffsetLedger } from './offset-ledger.js';

function ledgerOf(...offsets: number[]): OffsetLedger {
  const ledger = new OffsetLedger();
  for (const offset of offsets) ledger.take(String(offset));
  return ledger;
}

describe('OffsetLedger', () => {
  it('commits nothing while the first record is open', () => {
    const ledger = ledgerOf(4, 5, 6);
    ledger.settle('5');
    ledger.settle('6');
    expect(ledger.takeCommittable()).toBeNull();
    expect(ledger.openCount).toBe(1);
  });

  it('commits past the whole settled run when its head settles', () => {
    const ledger = ledgerOf(4, 5, 6, 7);
    ledger.settle('5');
    ledger.settle('6');
    ledger.settle('4');
    expect(ledger.takeCommittable()).toBe('7');
    expect(ledger.takeCommittable()).toBeNull();
  });

  it('steps over gaps left by compaction', () => {
    const ledger = ledgerOf(1, 9, 30);
    ledger.settle('1');
    ledger.settle('9');
    expect(ledger.takeCommittable()).toBe('10');
  });

  it('ignores a record settled twice or never taken', () => {
    const ledger = ledgerOf(1, 2);
    ledger.settle('7');
    ledger.settle('1');
    ledger.settle('1');
    expect(ledger.takeCommittable()).toBe('2');
  });

  it('counts a retried record once', () => {
    const ledger = ledgerOf(1, 2, 2, 3);
    for (const offset of ['1', '2', '3']) ledger.settle(offset);
    expect(ledger.takeCommittable()).toBe('4');
  });

  it('offers a failed commit again, unless more has settled', () => {
    const ledger = ledgerOf(1, 2);
    ledger.settle('1');
    ledger.giveBack(ledger.takeCommittable() ?? '');
    expect(ledger.takeCommittable()).toBe('2');
    ledger.settle('2');
    ledger.giveBack('2');
    expect(ledger.takeCommittable()).toBe('3');
  });

  it('keeps offsets beyond 2^53 exact', () => {
    const ledger = new OffsetLedger();
    ledger.take('9007199254740993');
    ledger.settle('9007199254740993');
    expect(ledger.takeCommittable()).toBe('9007199254740994');
  });
});
