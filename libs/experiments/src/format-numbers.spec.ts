import { expect, it } from 'vitest';
import { duration, grouped, interval, listed, percent, pValue, signedPoints } from './format-numbers.js';

it('prints numbers as a paper does', () => {
  expect(percent(0.68543)).toBe('68.5');
  expect(percent(null)).toBe('–');
  expect([signedPoints(0.0214), signedPoints(-0.003), signedPoints(-0.0004), signedPoints(0)]).toEqual(['+2.1', '−0.3', '0.0', '0.0']);
  expect(interval([0.586, 0.744])).toBe('58.6 to 74.4');
  expect(interval(null)).toBe('–');
  expect([pValue(0.0004), pValue(0.0499)]).toEqual(['< 0.001', '0.050']);
  expect([grouped(999), grouped(1234567), grouped(0.125)]).toEqual(['999', '1,234,567', '0.125']);
  expect([duration(41.2), duration(2490), duration(12_345)]).toEqual(['42 s', '42 min', '3 h 26 min']);
  expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c']);
});
