/**
 * Stores objects as files of a folder, for training runs without a bucket. Keys are paths with slashes.
 *
 * Delivery: an object exists whole or not at all (written beside, then renamed). Of many processes, one wins an `absent` put. A
 * condition on an ETag is checked before the write, so two writes at the same moment may both win.
 */
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { refuseBadKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ListedObject, ObjectHead, Objects, PutOptions } from './object-store.js';

export class FolderStore implements Objects {
  constructor(private readonly folder: string) {}

  async head(key: string): Promise<ObjectHead | null> {
    const found = await this.find(key);
    return found && { key, etag: found.etag, sizeBytes: found.bytes.byteLength };
  }

  async get(key: string): Promise<{ bytes: Uint8Array; etag: string }> {
    const found = await this.find(key);
    if (!found) throw new PipelineError('OBJECT_GONE', `There is no file ${this.pathOf(key)}. Check the folder`, { context: { key } });
    return found;
  }

  async find(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    const bytes = await orNull(readFile(this.pathOf(key)), 'ENOENT');
    return bytes && { bytes, etag: etagOf(bytes) };
  }

  async findJson(key: string): Promise<unknown> {
    const found = await this.find(key);
    return found ? JSON.parse(new TextDecoder().decode(found.bytes)) : null;
  }

  async put(key: string, body: Uint8Array | string, { onlyIf }: PutOptions = {}): Promise<string | null> {
    const path = this.pathOf(key);
    if (typeof onlyIf === 'object' && (await this.head(key))?.etag !== onlyIf.etag) return null;
    await mkdir(dirname(path), { recursive: true });
    const draft = `${path}.${randomUUID()}${DRAFT_ENDING}`;
    await writeFile(draft, body);
    try {
      if (onlyIf !== 'absent') await rename(draft, path);
      else if ((await orNull(link(draft, path), 'EEXIST')) === null) return null;
    } finally {
      await rm(draft, { force: true });
    }
    return etagOf(body);
  }

  async delete(key: string): Promise<void> {
    await rm(this.pathOf(key), { force: true });
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const entries = (await orNull(readdir(this.folder, { recursive: true, withFileTypes: true }), 'ENOENT')) ?? [];
    const keys = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith(DRAFT_ENDING))
      .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((key) => key.startsWith(prefix))
      .sort();
    for (const key of keys) {
      const { size, mtime, mtimeMs } = await stat(this.pathOf(key));
      yield { key, etag: `${size}-${mtimeMs}`, sizeBytes: size, modifiedAt: mtime };
    }
  }

  /** @throws PipelineError OBJECT_KEY_INVALID if the key leads out of the folder */
  private pathOf(key: string): string {
    refuseBadKey(key);
    return join(this.folder, ...key.split('/'));
  }
}

const DRAFT_ENDING = '.part';
const etagOf = (body: Uint8Array | string): string => createHash('md5').update(body).digest('hex');

/** @returns null for the one error code that is an answer; `true` if the work returns nothing */
async function orNull<Result>(work: Promise<Result>, code: string): Promise<(Result extends void ? true : Result) | null> {
  try {
    return ((await work) ?? true) as Result extends void ? true : Result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return null;
    throw error;
  }
}
