/**
 * Measures the trainer's index at a million utterances: made-up records of 2,500 speakers in shards of 400, on a real broker and
 * store. It measures memory, the start from the compacted topics and from a snapshot, and the cost of a new shard, a count and a view.
 *
 *   npm run bench -- index [--utterances 1000000] [--json FILE] [--results docs/results-streaming.md]
 *
 * This process makes and publishes the records. Each reader is its own process (index-reader.ts).
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { shardsUnlabelled } from '#contracts/shards.js';
import { topics } from '#contracts/topics.js';
import { utterances } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import startServers from '../test/embedded-stack.js';
import type { IndexMeasurement } from './index-reader.js';
import { madeShard, madeUtterance, UTTERANCES_PER_SHARD } from './made-utterances.js';
import { type BenchRow, markdownTable, row } from './table.js';

/** Number of records per publish. More would wait in memory for the broker. */
const PAGE = 5_000;
const HEADING = "## The trainer's index";

export async function benchIndex(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { utterances: { type: 'string', default: '1000000' }, json: { type: 'string' }, results: { type: 'string' } },
  });
  const count = Number(values.utterances);
  const stop = await startServers();
  try {
    const prefix = `bench-${randomBytes(4).toString('hex')}`;
    await publishAll(prefix, count);
    const fromTopics = read(prefix, 'topics');
    const fromSnapshot = read(prefix, 'snapshot');
    const rows = rowsOf(fromTopics, fromSnapshot);
    const table = markdownTable(rows);
    console.log(table);
    if (fromSnapshot.digest !== fromTopics.digest) throw new Error('the index from the snapshot differs from the index from the topics');
    if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
    if (values.results) writeSection(values.results, table, count);
  } finally {
    await stop();
  }
}

async function publishAll(prefix: string, count: number): Promise<void> {
  const kafka = kafkaClient(readKafkaConnection(), 'undertone-bench', pino({ level: 'silent' }));
  const publisher = new Publisher(kafka, prefix);
  await ensureTopics(kafka, topics, prefix);
  await publisher.connect();
  for (let from = 0; from < count; from += PAGE) {
    const page = Array.from({ length: Math.min(PAGE, count - from) }, (_, at) => madeUtterance(from + at));
    await publisher.publish(utterances, ...page);
    process.stderr.write(`\r${from + page.length} of ${count} utterances `);
  }
  const shards = Math.ceil(count / UTTERANCES_PER_SHARD);
  for (let shard = 0; shard < shards; shard += 10) {
    const page = Array.from({ length: Math.min(10, shards - shard) }, (_, at) => madeShard(shard + at, count));
    await publisher.publish(shardsUnlabelled, ...page);
  }
  process.stderr.write('\n');
  await publisher.close();
}

function read(prefix: string, from: 'topics' | 'snapshot'): IndexMeasurement {
  const reader = fileURLToPath(new URL('./index-reader.js', import.meta.url));
  const printed = execFileSync(process.execPath, ['--expose-gc', reader, prefix, from], {
    encoding: 'utf8',
    env: { ...process.env, S3_BUCKET: prefix },
    maxBuffer: 1 << 26,
  });
  return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '') as IndexMeasurement;
}

function rowsOf(fromTopics: IndexMeasurement, fromSnapshot: IndexMeasurement): BenchRow[] {
  return [
    row('start from the compacted topics', 's', fromTopics.startSec),
    row('start from a snapshot', 's', fromSnapshot.startSec),
    row('of it, reading and making the index', 's', fromSnapshot.restoreSec),
    row('heap, after a collection', 'MiB', fromTopics.heapMiB),
    row('resident after the start from the topics', 'MiB', fromTopics.residentMiB),
    row('resident after the start from the snapshot', 'MiB', fromSnapshot.residentMiB),
    row(`a new shard of ${UTTERANCES_PER_SHARD}`, 'ms', fromTopics.shardMs),
    row('a new utterance', 'µs', fromTopics.utteranceUs),
    row('counts and digest, nothing new', 'µs', fromTopics.countsUs),
    row('a view', 'ms', fromTopics.viewMs),
    row('writing a snapshot', 's', fromTopics.writeSec),
    row('of it, in which nothing else runs', 's', fromTopics.dumpSec),
    row('size of the snapshot', 'MB', fromTopics.snapshotMB),
  ];
}

/** Replaces only this bench's section of the page. */
function writeSection(path: string, table: string, count: number): void {
  const page = existsSync(path) ? readFileSync(path, 'utf8') : '# Results: streaming\n';
  const [before = '', after = ''] = page.split(`${HEADING}\n`);
  const next = after.indexOf('\n## ');
  const cpu = cpus();
  const section = [
    HEADING,
    '',
    `Written by \`npm run bench -- index --results ${path}\`. ${count.toLocaleString('en')} made utterances of 2,500 speakers in shards`,
    `of ${UTTERANCES_PER_SHARD}, one broker and one store on the same machine.`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${cpu[0]?.model ?? 'unknown processor'}, ${cpu.length} cores, Node ${process.versions.node}; load average ${loadavg()[2]?.toFixed(1)}.`,
    '',
    table,
    '',
  ].join('\n');
  writeFileSync(path, `${before.trimEnd()}\n\n${section}${next === -1 ? '' : after.slice(next)}`);
}
