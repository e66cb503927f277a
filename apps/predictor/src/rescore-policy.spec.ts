import { expect, it } from 'vitest';
import { rescorePolicySchema } from './rescore-policy.js';

it('a policy is new, all, or recent with a number of days', () => {
  expect(rescorePolicySchema.parse('recent:30d')).toEqual({ kind: 'recent', days: 30 });
  expect(rescorePolicySchema.parse('all')).toEqual({ kind: 'all' });
  for (const wrong of ['', 'recent', 'recent:0d', 'recent:30', 'newest']) expect(rescorePolicySchema.safeParse(wrong).success).toBe(false);
});
