/** The declaration of a topic: name, schema, key, the parties that write and read it, and how the broker keeps it. */
import type { z } from 'zod';
import { usualMaxDepth } from './outside-json.js';

export interface TopicStorage {
  partitions: number;
  cleanup: 'compact' | 'delete';
  /** How long a record is kept on a `delete` topic; -1 for ever. */
  retentionMs?: number;
  segmentMs: number;
  /** How long a tombstone stays readable on a `compact` topic. A reader that was away longer reads the topic from the start. */
  deleteRetentionMs?: number;
  minInsyncReplicas: number;
}

export interface TopicIdentity {
  /** The part between the prefix and the version: `undertone.<noun>.v1`. */
  noun: string;
  version: number;
}

/** Who sends or receives records: the five stages, the `undertone` command, and the object store that notifies. */
export const parties = ['object-store', 'ingest', 'features', 'trainer', 'evaluator', 'predictor', 'cli'] as const;
export type Party = (typeof parties)[number];

export interface TopicDeclaration extends TopicIdentity {
  description: string;
  producers: readonly Party[];
  consumers: readonly Party[];
  /** Schema of a record's value. Its `title`, or that of each of its variants, names the fact. */
  schema: z.ZodType;
  keySchema: z.ZodType<string | null>;
  keyOf: (fact: never) => string | null;
  /** Set if writers may send other formats than JSON. The consumer receives those as bytes. */
  acceptsBytes?: true;
  storage: TopicStorage;
}

/** `Producer` names the parties that may send its facts: a publisher of another party does not compile (libs/streaming/src/publisher.ts). */
export interface Topic<Fact, Producer extends Party = Party> extends TopicDeclaration {
  producers: readonly Producer[];
  schema: z.ZodType<Fact>;
  /** The record's key; null leaves the partition to the producer. */
  keyOf: (fact: Fact) => string | null;
}

/** @returns why the record's key contradicts its contents, or null if the key is right */
export function keyProblem<Fact>(topic: { keyOf: (fact: Fact) => string | null }, key: string | null, fact: Fact): string | null {
  const own = topic.keyOf(fact);
  return own === null || own === key ? null : `its key is ${JSON.stringify(key)}, but its contents give the key ${JSON.stringify(own)}`;
}

/** Limits on a record's value. A broker accepts 1 MiB by default; the embedded broker accepts more. */
export const recordLimits = { maxBytes: 16 * 1024 * 1024, maxDepth: usualMaxDepth };

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

const shared = { segmentMs: 7 * dayMs, minInsyncReplicas: 1 };

/** A compacted topic keeps the latest record of each key for ever, and a tombstone for a week. */
export const compacted = (partitions: number): TopicStorage => ({
  ...shared,
  partitions,
  cleanup: 'compact',
  segmentMs: dayMs,
  deleteRetentionMs: 7 * dayMs,
});

/** A topic that deletes its records after a while. */
export const retained = (partitions: number, retentionMs: number): TopicStorage => ({
  ...shared,
  partitions,
  cleanup: 'delete',
  retentionMs,
});

export const topicName = (topic: TopicIdentity, prefix: string): string => `${prefix}.${topic.noun}.v${topic.version}`;
