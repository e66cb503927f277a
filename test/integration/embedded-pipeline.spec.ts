/** Runs the suite of `npm run test:containers` on the embedded broker and store, with events by webhook. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '#embedded/free-ports.js';
import { provisionAll } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '#embedded/seaweedfs.js';
import { describePipeline, fromEventsAlone, type PipelineStack } from '../pipeline-suite.js';
import { RunningPipeline } from './running-pipeline.js';

describePipeline('the whole way on embedded servers', async (): Promise<PipelineStack> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'undertone-embedded-'));
  const { seaweedfs } = await provisionAll({ needKafka: false, needS3: true, needTensorflow: false, log: () => undefined });
  const [ingestPort, ...ports] = await freePorts(11);
  const prefix = `test-${randomBytes(5).toString('hex')}`;
  const store = new EmbeddedS3({
    weed: seaweedfs?.weed ?? '',
    dataDir,
    ports: seaweedfsPorts(ports),
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
    webhookUrl: `http://127.0.0.1:${ingestPort}/bucket-events`,
    webhookBuckets: [prefix],
  });
  await store.start();
  const pipeline = new RunningPipeline({
    ...fromEventsAlone,
    TOPIC_PREFIX: prefix,
    S3_ENDPOINT: store.endpoint,
    INGEST_PORT: String(ingestPort),
  });
  await pipeline.prepare();
  return {
    pipeline,
    close: async () => {
      await pipeline.close();
      await store.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
});
