/** A drop of two thousand files. mixed-drop.spec.ts has the same with 450. */
import { it } from 'vitest';
import { settleDrop } from './settle-drop.js';

it('puts 1 950 files into shards and writes 50 dead letters with the right codes', () => settleDrop(1_950));
