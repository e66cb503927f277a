/**
 * The filer's notifications of SeaweedFS: JSON by its webhook, `filer_pb.EventNotification` by Kafka with the path as the
 * record's key. Only what leads to a key is read. A renamed object is two: the one that went and the one that came.
 */
import protobuf from 'protobufjs/light.js';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ObjectEvent {
  bucket: string;
  /** As the store knows it, not encoded. */
  key: string;
}

interface Entry {
  name?: string;
  isDirectory?: boolean;
}

interface EventNotification {
  oldEntry?: Entry | null;
  newEntry?: Entry | null;
  newParentPath?: string;
}

/** Numbers of the fields as in SeaweedFS's filer.proto; the others are skipped. */
const { EventNotification: message } = protobuf.Root.fromJSON({
  nested: {
    Entry: { fields: { name: { type: 'string', id: 1 }, isDirectory: { type: 'bool', id: 2 } } },
    EventNotification: {
      fields: { oldEntry: { type: 'Entry', id: 1 }, newEntry: { type: 'Entry', id: 2 }, newParentPath: { type: 'string', id: 4 } },
    },
  },
}).nested as { EventNotification: protobuf.Type };

/** @param path of the entry, the one before it was renamed. @throws PipelineError BUCKET_EVENT_UNRECOGNISED */
export function seaweedfsProtobufObjects(bytes: Uint8Array, path: string | null): ObjectEvent[] {
  if (!path?.startsWith('/')) throw unrecognised('bytes without a path as their key');
  try {
    return objectsOf(path, message.toObject(message.decode(bytes)));
  } catch (error) {
    throw unrecognised('bytes that are no notification of SeaweedFS', error);
  }
}

export function seaweedfsWebhookObjects(envelope: Record<string, unknown>): ObjectEvent[] {
  interface JsonEntry {
    name?: string;
    is_directory?: boolean;
  }
  const { old_entry, new_entry, new_parent_path } = (envelope['message'] ?? {}) as {
    old_entry?: JsonEntry;
    new_entry?: JsonEntry;
    new_parent_path?: string;
  };
  const entryOf = (entry: JsonEntry | undefined) => entry && { name: entry.name, isDirectory: entry.is_directory };
  return objectsOf(envelope['key'] as string, {
    oldEntry: entryOf(old_entry),
    newEntry: entryOf(new_entry),
    newParentPath: new_parent_path,
  });
}

function objectsOf(path: string, { oldEntry, newEntry, newParentPath }: EventNotification): ObjectEvent[] {
  const entry = newEntry ?? oldEntry;
  if (!entry || entry.isDirectory) return [];
  const cameTo = newEntry?.name && newParentPath ? `${newParentPath}/${newEntry.name}` : path;
  return [...new Set(oldEntry ? [path, cameTo] : [cameTo])].flatMap(objectAt);
}

/** None for the store's own files. */
function objectAt(path: string): ObjectEvent[] {
  const [, bucket, key] = /^\/buckets\/([^/]+)\/(.+)$/s.exec(path) ?? [];
  if (!bucket || !key || bucket.startsWith('.') || key.startsWith('.uploads/') || key.includes('.versions/')) return [];
  return [{ bucket, key }];
}

const unrecognised = (what: string, cause?: unknown): PipelineError =>
  new PipelineError('BUCKET_EVENT_UNRECOGNISED', `The bucket event is of no known form: ${what}`, { cause });
