import { expect, it } from 'vitest';
import { fullDiskLine } from './disk-room.js';

it('prints a line for a full disk, and none for a disk with room or an unknown one', () => {
  expect(fullDiskLine('/data', () => 10e9)).toBeNull();
  expect(fullDiskLine('/there/is/no/such/folder')).toBeNull();
  expect(fullDiskLine('/data', () => 0)).toMatch(/^The disk of \/data is full\. Free some space/);
  expect(fullDiskLine('/data', () => 12.3e6)).toMatch(/^The disk of \/data has only 12 MB left\. /);
});
