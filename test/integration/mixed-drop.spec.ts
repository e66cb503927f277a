/** A drop of 450 files. mixed-drop.slow.spec.ts has the same with two thousand. */
import { it } from 'vitest';
import { settleDrop } from './settle-drop.js';

it('puts 400 files of every format into shards and writes 50 dead letters with the right codes', () => settleDrop(400));
