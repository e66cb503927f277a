/** Makes folders and files that only their owner may read: recordings, keys, and logs that name speakers. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';

/** Makes the folder, or removes the permissions of other users from an existing one. Call it only for folders that we own. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Writes the file. An existing file that others could read is restricted before it gets the text. */
export function writePrivateFile(path: string, text: string): void {
  writeFileSync(path, '', { mode: 0o600 });
  chmodSync(path, 0o600);
  writeFileSync(path, text);
}
