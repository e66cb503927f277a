/**
 * Child process of the bench, so that its leftovers do not slow other measurements. Arguments: COUNT FILE…; its last line is a
 * ServiceThroughput. It measures the path through the services: ingest lists FLAC files in a real bucket and announces them on a
 * real Kafka topic; features reads them, cuts tiles and writes shards. All servers run on this machine.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { corpusKey } from '#contracts/object-keys.js';
import startServers from '../test/embedded-stack.js';
import { RunningPipeline } from '../test/integration/running-pipeline.js';
import { PIECE_SEC } from './speech-files.js';

export interface ServiceThroughput {
  /** Throughput if records wait in Kafka and only features works. */
  featuresAudioPerSec: number;
  /** Throughput per processor time of the features process, over all its threads. */
  featuresAudioPerCpuSec: number;
  /** Throughput while ingest lists and announces. */
  bothAudioPerSec: number;
  featuresPeakMiB: number;
}

/** @param count of objects; the files repeat under other names */
async function measureService(files: string[], count: number): Promise<ServiceThroughput> {
  const stop = await startServers();
  try {
    const { audioPerSec: bothAudioPerSec } = await throughput(files, count, { ingestFirst: false });
    const alone = await throughput(files, count, { ingestFirst: true });
    return {
      featuresAudioPerSec: alone.audioPerSec,
      featuresAudioPerCpuSec: alone.audioPerCpuSec,
      bothAudioPerSec,
      featuresPeakMiB: alone.peakMiB,
    };
  } finally {
    await stop();
  }
}

async function throughput(files: string[], count: number, { ingestFirst }: { ingestFirst: boolean }) {
  const pipeline = new RunningPipeline({ SHARD_TILES: '1024', SHARD_MAX_AGE: '2', RECONCILE_INTERVAL: '600', LOG_LEVEL: 'info' });
  try {
    await pipeline.prepare();
    const { store, overview } = pipeline;
    const contents = files.map((file) => readFileSync(file));
    const waiting = Array.from({ length: count }, (_, i) => i);
    const put = async (): Promise<void> => {
      for (let i = waiting.shift(); i !== undefined; i = waiting.shift())
        await store.put(corpusKey('bench', `${i}.flac`), contents[i % contents.length] as Buffer);
    };
    await Promise.all(Array.from({ length: 8 }, put));
    pipeline.start('ingest');
    if (ingestFirst) {
      await pipeline.until('all announced', () => overview.reconcile().utterances === count, 300);
      await pipeline.kill('ingest');
    }
    pipeline.start('features');
    // The start of processes takes a second, and the last shard waits for its age limit. Neither counts as throughput.
    const [first, last] = [0.1 * count, 0.9 * count];
    const marks: Mark[] = [];
    for (let done = 0; done < last; await sleep(250)) {
      const mark = await markOf(`${pipeline.url('features')}/metrics`);
      ({ done } = mark);
      if (done >= first) marks.push(mark);
    }
    const [begin, end] = [marks[0], marks.at(-1)];
    if (!begin || !end) throw new Error('nothing was measured');
    await pipeline.until('all in shards', () => overview.reconcile().inShards === count, 120);
    const audioSec = (end.done - begin.done) * PIECE_SEC;
    return {
      audioPerSec: (audioSec * 1000) / (end.atMs - begin.atMs),
      audioPerCpuSec: audioSec / (end.cpuSec - begin.cpuSec),
      peakMiB: Math.max(...marks.map(({ residentBytes }) => residentBytes)) / 2 ** 20,
    };
  } finally {
    await pipeline.close();
  }
}

interface Mark {
  atMs: number;
  done: number;
  cpuSec: number;
  residentBytes: number;
}

async function markOf(url: string): Promise<Mark> {
  const text = await fetch(url).then(
    (answer) => answer.text(),
    () => '',
  );
  const value = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    atMs: performance.now(),
    done: value('undertone_features_utterances_total'),
    cpuSec: value('process_cpu_seconds_total'),
    residentBytes: value('process_resident_memory_bytes'),
  };
}

const [count, ...files] = process.argv.slice(2);
console.log(JSON.stringify(await measureService(files, Number(count))));
process.exit(0);
