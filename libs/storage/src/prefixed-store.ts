/** Presents a part of a store as a store: it puts one prefix before every key. Delivery: as the store promises. */
import type { ListedObject, ObjectHead, Objects, PutOptions } from './object-store.js';

export class PrefixedStore implements Objects {
  /** @param prefix ends with a slash */
  constructor(
    private readonly store: Objects,
    private readonly prefix: string,
  ) {}

  head(key: string): Promise<ObjectHead | null> {
    return this.store.head(this.prefix + key);
  }

  get(key: string): Promise<{ bytes: Uint8Array; etag: string }> {
    return this.store.get(this.prefix + key);
  }

  find(key: string): Promise<{ bytes: Uint8Array; etag: string } | null> {
    return this.store.find(this.prefix + key);
  }

  findJson(key: string): Promise<unknown> {
    return this.store.findJson(this.prefix + key);
  }

  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<string | null> {
    return this.store.put(this.prefix + key, body, options);
  }

  delete(key: string): Promise<void> {
    return this.store.delete(this.prefix + key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    for await (const found of this.store.list(this.prefix + prefix)) yield { ...found, key: found.key.slice(this.prefix.length) };
  }
}
