import { expect, it } from 'vitest';
import { fullDiskLine } from './disk-room.js';

it('a disk with room, or none that can be asked, is no line; a full one is', () => {
  expect(fullDiskLine('/data', () => 10e9)).toBeNull();
  expect(fullDiskLine('/there/is/no/such/folder')).toBeNull();
  expect(fullDiskLine('/data', () => 0)).toMatch(/^The disk of \/data is full\. Free some room/);
  expect(fullDiskLine('/data', () => 12.3e6)).toMatch(/^The disk of \/data has only 12 MB left\. /);
});
