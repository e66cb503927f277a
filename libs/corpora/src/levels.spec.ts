import { expect, it } from 'vitest';
import { levelOf } from './levels.js';

it.each([
  [1, 0],
  [2, 0],
  [2.0001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('IEMOCAP: %f is level %i', (value, level) => expect(levelOf(value, 'iemocap')).toBe(level));

it.each([
  [1, 0],
  [2.5, 0],
  [2.5001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('MSP-IMPROV: %f is level %i', (value, level) => expect(levelOf(value, 'msp-improv')).toBe(level));

it('cuts a corpus that the paper does not name like IEMOCAP', () => expect(levelOf(2.2, 'manifest')).toBe(1));
