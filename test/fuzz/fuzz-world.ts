/** All five services as real processes under a supervisor, behind a store that answers as it likes, with all that a case needs to do harm. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readdirSync, readFileSync } from 'node:fs';
import { Supervisor } from '#embedded/supervisor.js';
import { topicName, type TopicIdentity } from '#contracts/topic.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import type { SeededRandom } from '../chaos/seeded-random.js';
import { silent } from '../chaos/stream-under-test.js';
import { RunningPipeline, type ServiceName } from '../integration/running-pipeline.js';
import { FuzzAccount } from './fuzz-account.js';
import { HostileStore } from './hostile-store.js';
import type { RawRecord, Sent } from './raw-record.js';
import { ServiceWatch } from './service-watch.js';

export const serviceNames: readonly ServiceName[] = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'];

const { CompressionTypes, CompressionCodecs } = createRequire(import.meta.url)('kafkajs') as {
  CompressionTypes: { GZIP: 1 };
  CompressionCodecs: Record<number, () => { compress: (encoder: { buffer: Buffer }) => Promise<Buffer> }>;
};

/** Above the limit of libs/streaming/src/record-codecs.ts. */
const bombBytes = 70_000_000;

export class FuzzWorld {
  readonly pipeline: RunningPipeline;
  readonly account: FuzzAccount;
  readonly watch: ServiceWatch;
  readonly hostileStore: HostileStore;
  private readonly supervisor: Supervisor;
  private readonly kafka;
  private readonly producer;

  constructor(random: SeededRandom, settings: Record<string, string> = {}) {
    this.pipeline = new RunningPipeline({ AUDIO_MEMORY_MB: '128', FILE_TIMEOUT: '20', ROUND_STEPS: '5', ...settings });
    this.hostileStore = new HostileStore(this.pipeline.prefix, random);
    const backoff = { firstMs: 300, maxMs: 3_000, healthyAfterMs: 5_000 };
    this.supervisor = new Supervisor({ logsDir: join(this.pipeline.logsDir, 'services'), backoff });
    this.watch = new ServiceWatch(this.supervisor);
    this.kafka = kafkaClient(readKafkaConnection(this.pipeline.environment), 'undertone-fuzz', silent);
    this.producer = this.kafka.producer();
    this.account = new FuzzAccount(this.kafka, this.pipeline);
  }

  async start(): Promise<void> {
    await this.pipeline.prepare();
    const endpoint = await this.hostileStore.start();
    await this.producer.connect();
    await this.account.start();
    for (const name of serviceNames) {
      this.supervisor.start({
        name,
        command: process.execPath,
        args: ['--enable-source-maps', join(packageRoot, 'dist/apps', name, 'src/main.js')],
        env: { ...this.pipeline.environment, S3_ENDPOINT: endpoint },
      });
      this.watch.watch(name, this.pipeline.url(name));
    }
    await this.pipeline.until('all services to be ready', async () => (await this.ready()).every(Boolean));
  }

  private ready(): Promise<boolean[]> {
    return Promise.all(
      serviceNames.map(async (name) => {
        const answer = await fetch(`${this.pipeline.url(name)}/health/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
        await answer?.arrayBuffer().catch(() => undefined);
        return answer?.ok === true;
      }),
    );
  }

  /** Sends records as they are, past every schema, as one batch. */
  async send(topic: TopicIdentity, ...records: RawRecord[]): Promise<Sent> {
    return this.sendBatch(topic, records, 0);
  }

  /** Sends a batch that says that it is compressed by gzip, and holds these bytes. @returns null where the broker refuses it */
  async sendPacked(topic: TopicIdentity, packed: Buffer): Promise<Sent | null> {
    const record = { key: 'packed', value: Buffer.from('packed') };
    return this.sendCompressed(topic, record, () => packed).catch(() => null);
  }

  /** Sends a record that takes more memory, once it is unpacked, than any reader gives it. */
  sendBomb(topic: TopicIdentity, key: string): Promise<Sent> {
    return this.sendCompressed(topic, { key, value: Buffer.alloc(bombBytes) }, gzipSync);
  }

  /** The client's own codecs only unpack. */
  private async sendCompressed(topic: TopicIdentity, record: RawRecord, compress: (bytes: Buffer) => Buffer): Promise<Sent> {
    const own = CompressionCodecs[CompressionTypes.GZIP] as (typeof CompressionCodecs)[number];
    CompressionCodecs[CompressionTypes.GZIP] = () => ({ ...own(), compress: ({ buffer }) => Promise.resolve(compress(buffer)) });
    try {
      return await this.sendBatch(topic, [record], CompressionTypes.GZIP);
    } finally {
      CompressionCodecs[CompressionTypes.GZIP] = own;
    }
  }

  private async sendBatch(topic: TopicIdentity, messages: RawRecord[], compression: 0 | 1): Promise<Sent> {
    const name = topicName(topic, this.pipeline.prefix);
    const [answer] = await this.producer.send({ topic: name, acks: -1, compression, messages });
    return { topic: name, partition: answer?.partition ?? 0, offset: BigInt(answer?.baseOffset ?? 0) };
  }

  /** The last lines of every log. */
  logEnds(lines = 15): string {
    const folder = join(this.pipeline.logsDir, 'services');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .map((name) => {
        const end = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').slice(-lines);
        return `--- ${name}\n${end.map((line) => line.slice(0, 600)).join('\n')}`;
      })
      .join('\n');
  }

  async stop(): Promise<void> {
    this.watch.stop();
    await this.supervisor.stop({ graceMs: 3_000 });
    await this.producer.disconnect();
    await this.account.stop();
    this.hostileStore.stop();
    await this.pipeline.close();
  }
}
