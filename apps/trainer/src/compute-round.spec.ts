import { expect, it } from 'vitest';
import { viewOf } from '#index/training-index.js';
import type { FromCompute, ToCompute } from './compute-messages.js';
import { ComputeRound } from './compute-round.js';

const view = viewOf('hash', []);

function started() {
  const sent: ToCompute[] = [];
  const { promise, resolve } = Promise.withResolvers<FromCompute>();
  const send = (message: ToCompute): void => void sent.push(message);
  const round = new ComputeRound(7, view, {
    send,
    ask: (message) => {
      send(message);
      return promise;
    },
  });
  return { round, sent, end: () => resolve({ type: 'roundDone', trained: true }) };
}

it('sends an erasure between the view and the request with the request', async () => {
  const { round, sent, end } = started();
  round.erase(['a']);
  round.erase(['b']);
  const running = round.run(['c']);
  end();
  expect(await running).toBe(true);
  expect(sent).toEqual([{ type: 'round', id: 7, view, asked: ['c'], erased: ['a', 'b'] }]);
});

it('sends an erasure during the round with the round’s id, and none after the round', async () => {
  const { round, sent, end } = started();
  const running = round.run([]);
  round.erase(['a']);
  end();
  await running;
  round.erase(['b']);
  expect(sent.slice(1)).toEqual([{ type: 'erase', roundId: 7, utteranceIds: ['a'] }]);
});
