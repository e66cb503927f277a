/**
 * Provides a real broker and a real object store for the integration tests: those of KAFKA_BROKERS and S3_ENDPOINT, or embedded
 * ones that start for the run in their own folder. Tests use topics and buckets with random names.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../libs/embedded/src/free-ports.js';
import { EmbeddedKafka } from '../libs/embedded/src/kafka-broker.js';
import { provisionAll } from '../libs/embedded/src/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '../libs/embedded/src/seaweedfs.js';

export default async function startServers(): Promise<() => Promise<void>> {
  const needKafka = !process.env['KAFKA_BROKERS'];
  const needS3 = !process.env['S3_ENDPOINT'];
  const folder = mkdtempSync(join(tmpdir(), 'undertone-test-'));
  const {
    kafka: install,
    seaweedfs,
    ffmpeg,
  } = await provisionAll({ needKafka, needS3, needTensorflow: true, log: (line) => console.log(line) });
  if (ffmpeg) process.env['FFMPEG_BIN'] = ffmpeg.path;
  const [port = 0, controllerPort = 0, ...weedPorts] = await freePorts(12);
  const kafka = install && new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort });
  const credentials = { accessKeyId: 'undertonetest', secretAccessKey: 'undertonetestsecret' };
  const s3 =
    seaweedfs && new EmbeddedS3({ weed: seaweedfs.weed, dataDir: join(folder, 's3'), ports: seaweedfsPorts(weedPorts), ...credentials });
  await Promise.all([kafka?.start(), s3?.start()]);
  if (kafka) process.env['KAFKA_BROKERS'] = kafka.brokers;
  if (s3)
    Object.assign(process.env, {
      S3_ENDPOINT: s3.endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    });
  return async () => {
    await Promise.all([kafka?.stop(), s3?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  };
}
