import { expect, it } from 'vitest';
import { SilenceProfiles } from './silence-profiles.js';

it('knows the profile of each live utterance, and cuts others as most are cut', () => {
  const silence = new SilenceProfiles();
  expect(silence.usual()).toBe('ends');
  silence.note('a/1', 'none');
  expect([silence.of('a/1'), silence.of('posted'), silence.usual()]).toEqual(['none', 'none', 'none']);
  silence.note('b/1', 'ends');
  silence.note('b/2', 'ends');
  expect([silence.of('a/1'), silence.of('posted'), silence.usual()]).toEqual(['none', 'ends', 'ends']);
});

it('follows changes and deletions', () => {
  const silence = new SilenceProfiles();
  silence.note('a/1', 'ends');
  silence.note('a/1', 'all');
  expect([silence.of('a/1'), silence.usual()]).toEqual(['all', 'all']);
  silence.note('a/1', null);
  expect(silence.usual()).toBe('ends');
});
