/** Decides which utterances a promotion scores again: `new`, `recent:30d` or `all`. */
import { z } from 'zod';

export type RescorePolicy = { kind: 'new' } | { kind: 'all' } | { kind: 'recent'; days: number };

export const rescorePolicySchema = z
  .string()
  .regex(/^(new|all|recent:[1-9]\d{0,4}d)$/, 'expected new, all or recent:<days>d, such as recent:30d')
  .transform((text): RescorePolicy => {
    if (text === 'new' || text === 'all') return { kind: text };
    return { kind: 'recent', days: Number.parseInt(text.slice('recent:'.length), 10) };
  });

/** @param ingestedAtSec seconds since 1970; 0 if unknown, which counts as recent */
export function isRescored(policy: RescorePolicy, ingestedAtSec: number, nowMs: number): boolean {
  if (policy.kind !== 'recent') return policy.kind === 'all';
  return ingestedAtSec === 0 || nowMs / 1000 - ingestedAtSec <= policy.days * 86_400;
}
