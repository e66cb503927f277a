/**
 * Parses notifications of SeaweedFS's filer: JSON from its webhook, or `filer_pb.EventNotification` from Kafka with the path as
 * the record's key. It reads only the fields that lead to a key. A rename gives two objects: the old one and the new one.
 */
import protobuf from 'protobufjs/light.js';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ObjectEvent {
  bucket: string;
  /** The key as the store knows it, not encoded. */
  key: string;
}

interface Entry {
  name?: string | undefined;
  isDirectory?: boolean | undefined;
}

interface EventNotification {
  oldEntry?: Entry | null | undefined;
  newEntry?: Entry | null | undefined;
  newParentPath?: string | null | undefined;
}

const jsonEntrySchema = z
  .object({ name: z.string().optional(), is_directory: z.boolean().optional() })
  .transform(({ name, is_directory: isDirectory }): Entry => ({ name, isDirectory }))
  .nullish();
export const seaweedfsWebhookSchema = z.object({
  event_type: z.string(),
  key: z.string(),
  message: z.object({ old_entry: jsonEntrySchema, new_entry: jsonEntrySchema, new_parent_path: z.string().nullish() }).nullish(),
});

/** Field numbers of SeaweedFS's filer.proto. Other fields are skipped. */
const { EventNotification: message } = protobuf.Root.fromJSON({
  nested: {
    Entry: { fields: { name: { type: 'string', id: 1 }, isDirectory: { type: 'bool', id: 2 } } },
    EventNotification: {
      fields: { oldEntry: { type: 'Entry', id: 1 }, newEntry: { type: 'Entry', id: 2 }, newParentPath: { type: 'string', id: 4 } },
    },
  },
}).nested as { EventNotification: protobuf.Type };

/** @param path the entry's path, before a rename @throws PipelineError BUCKET_EVENT_UNRECOGNISED */
export function seaweedfsProtobufObjects(bytes: Uint8Array, path: string | null): ObjectEvent[] {
  if (!path?.startsWith('/')) throw unrecognised('bytes without a path as their key');
  try {
    return objectsOf(path, message.toObject(message.decode(bytes)));
  } catch (error) {
    throw unrecognised('bytes that are not a notification of SeaweedFS', error);
  }
}

export function seaweedfsWebhookObjects({ key, message: parts }: z.infer<typeof seaweedfsWebhookSchema>): ObjectEvent[] {
  return objectsOf(key, { oldEntry: parts?.old_entry, newEntry: parts?.new_entry, newParentPath: parts?.new_parent_path });
}

function objectsOf(path: string, { oldEntry, newEntry, newParentPath }: EventNotification): ObjectEvent[] {
  const entry = newEntry ?? oldEntry;
  if (!entry || entry.isDirectory) return [];
  const cameTo = newEntry?.name && newParentPath ? `${newParentPath}/${newEntry.name}` : path;
  return [...new Set(oldEntry ? [path, cameTo] : [cameTo])].flatMap(objectAt);
}

/** @returns no object for the store's own files */
function objectAt(path: string): ObjectEvent[] {
  const [, bucket, key] = /^\/buckets\/([^/]+)\/(.+)$/s.exec(path) ?? [];
  if (!bucket || !key || bucket.startsWith('.') || key.startsWith('.uploads/') || key.includes('.versions/')) return [];
  return [{ bucket, key }];
}

const unrecognised = (what: string, cause?: unknown): PipelineError =>
  new PipelineError('BUCKET_EVENT_UNRECOGNISED', `The bucket event has no known form: ${what}`, { cause });
