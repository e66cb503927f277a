/** What a topic is: its name, its one schema, its key, who writes and reads it, and how the broker keeps it. */
import type { z } from 'zod';
import { usualMaxDepth } from './outside-json.js';

export interface TopicStorage {
  partitions: number;
  cleanup: 'compact' | 'delete';
  /** How long a record is kept on a `delete` topic; -1 for ever. */
  retentionMs?: number;
  segmentMs: number;
  /** How long a tombstone stays readable on a `compact` topic. A reader that was away longer must start anew. */
  deleteRetentionMs?: number;
  minInsyncReplicas: number;
}

export interface TopicIdentity {
  /** The part between the prefix and the version: `undertone.<noun>.v1`. */
  noun: string;
  version: number;
}

/** Who sends or receives records: the four stages, the `undertone` command, and the object store that notifies. */
export const parties = ['object-store', 'ingest', 'features', 'trainer', 'evaluator', 'cli'] as const;
export type Party = (typeof parties)[number];

export interface TopicDeclaration extends TopicIdentity {
  description: string;
  producers: readonly Party[];
  consumers: readonly Party[];
  /** What a record may be. Its `title`, or that of each of its variants, is the name of the fact. */
  schema: z.ZodType;
  keySchema: z.ZodType<string | null>;
  keyOf: (fact: never) => string | null;
  /** Its writers may send other things than JSON: those reach the consumer as bytes. */
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

/** @returns why a record is not to be believed, or null: its key must be the one that its contents give */
export function keyProblem<Fact>(topic: { keyOf: (fact: Fact) => string | null }, key: string | null, fact: Fact): string | null {
  const own = topic.keyOf(fact);
  return own === null || own === key ? null : `its key is ${JSON.stringify(key)}, and its contents belong under ${JSON.stringify(own)}`;
}

/** What a record's value may be. A broker takes 1 MiB unless told otherwise; the embedded one takes more. */
export const recordLimits = { maxBytes: 16 * 1024 * 1024, maxDepth: usualMaxDepth };

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

const shared = { segmentMs: 7 * dayMs, minInsyncReplicas: 1 };

/** A compacted topic: the latest record of a key is kept for ever, a tombstone for a week. */
export const compacted = (partitions: number): TopicStorage => ({
  ...shared,
  partitions,
  cleanup: 'compact',
  segmentMs: dayMs,
  deleteRetentionMs: 7 * dayMs,
});

/** A topic whose records end after a while. */
export const retained = (partitions: number, retentionMs: number): TopicStorage => ({
  ...shared,
  partitions,
  cleanup: 'delete',
  retentionMs,
});

export const topicName = (topic: TopicIdentity, prefix: string): string => `${prefix}.${topic.noun}.v${topic.version}`;
