/** A bucket in memory with the methods that ingest uses, for unit specs. Each call may take time, as over a network. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ListedObject, ObjectHead, ObjectStore, PutOptions } from '#storage/object-store.js';

type Surface = Pick<ObjectStore, 'head' | 'get' | 'find' | 'findJson' | 'put' | 'delete' | 'list' | 'download'>;

const etagOf = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

export class MemoryStore implements Surface {
  readonly bucket = 'memory';
  readonly objects = new Map<string, Buffer>();
  /** Calls by name and key, in order. */
  readonly calls: [name: string, key: string][] = [];
  /** Called before each call. An error that it throws is the store's answer. */
  answer: (name: string, key: string) => void = () => undefined;

  constructor(private readonly latencyMs = 0) {}

  async head(key: string): Promise<ObjectHead | null> {
    await this.call('head', key);
    const bytes = this.objects.get(key);
    return bytes ? { key, etag: etagOf(bytes), sizeBytes: bytes.length } : null;
  }

  async find(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    await this.call('get', key);
    const bytes = this.objects.get(key);
    return bytes ? { bytes, etag: etagOf(bytes) } : null;
  }

  async get(key: string): Promise<{ bytes: Uint8Array; etag: string }> {
    const found = await this.find(key);
    if (!found) throw new PipelineError('OBJECT_GONE', `There is no object ${key}`);
    return found;
  }

  async findJson(key: string): Promise<unknown> {
    const found = await this.find(key);
    return found ? JSON.parse(Buffer.from(found.bytes).toString()) : null;
  }

  async download(key: string, path: string): Promise<void> {
    await writeFile(path, (await this.get(key)).bytes);
  }

  async put(key: string, body: Uint8Array | string, { onlyIf }: PutOptions = {}): Promise<string | null> {
    await this.call('put', key);
    const before = this.objects.get(key);
    if (onlyIf === 'absent' && before) return null;
    if (typeof onlyIf === 'object' && (!before || etagOf(before) !== onlyIf.etag)) return null;
    const bytes = Buffer.from(body);
    this.objects.set(key, bytes);
    return etagOf(bytes);
  }

  async delete(key: string): Promise<void> {
    await this.call('delete', key);
    this.objects.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    await this.call('list', prefix);
    for (const [key, bytes] of [...this.objects])
      if (key.startsWith(prefix)) yield { key, etag: etagOf(bytes), sizeBytes: bytes.length, modifiedAt: new Date(0) };
  }

  keys(prefix: string): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  callsOf(name: string): string[] {
    return this.calls.filter(([each]) => each === name).map(([, key]) => key);
  }

  private async call(name: string, key: string): Promise<void> {
    this.calls.push([name, key]);
    if (this.latencyMs > 0) await sleep(this.latencyMs);
    this.answer(name, key);
  }
}
