/** Makes folders and files that only their owner may read: recordings, keys, and logs that name speakers. */
import { chmodSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { PipelineError } from '#contracts/pipeline-error.js';

/** Makes the folder, or removes the permissions of other users from an existing one. Call it only for folders that we own. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Replaces the file, readable by its owner only. If a link lies there, the link is replaced, and not the file that it points to. */
export function writePrivateFile(path: string, text: string): void {
  const part = `${path}.part`;
  rmSync(part, { force: true });
  writeFileSync(part, text, { mode: 0o600, flag: 'wx' });
  renameSync(part, path);
}

/**
 * Call it before trusting the contents of a folder that somebody else may have made.
 * @throws PipelineError CONFIG_INVALID if another user owns the folder or may write to it, because that user could plant files or links
 */
export function requireOwnFolder(path: string, variable: string): void {
  const own = process.getuid?.();
  const found = statSync(path, { throwIfNoEntry: false });
  if (own === undefined || !found) return; // Windows has no such owners
  const isForeign = found.uid !== own && own !== 0;
  // Many systems make folders writable for the user's own group, which has nobody else in it.
  const openBits = found.gid === process.getgid?.() ? 0o002 : 0o022;
  if (!isForeign && (found.mode & openBits) === 0) return;
  const problem = isForeign ? 'belongs to another user' : 'may be written to by other users';
  const remedy = isForeign ? '' : `Run chmod go-w ${path}, or `;
  throw new PipelineError(
    'CONFIG_INVALID',
    `${path} ${problem}, who could plant files there. ${remedy}${remedy ? 'set' : 'Set'} ${variable} to a folder of your own.`,
  );
}
