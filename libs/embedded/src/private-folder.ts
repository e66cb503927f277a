/** Folders and files that only their owner may read: recordings, keys, and logs that name speakers. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';

/** Makes the folder, or takes it from everybody else where it was there. Call it for folders of our own only. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Writes the file. A file that was there, and that others could read, is closed before it gets the text. */
export function writePrivateFile(path: string, text: string): void {
  writeFileSync(path, '', { mode: 0o600 });
  chmodSync(path, 0o600);
  writeFileSync(path, text);
}
