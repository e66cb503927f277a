/**
 * `undertone setup`: everything a fresh machine needs, each part with one progress line. What is there already costs a look at
 * file sizes and no network. Parts are fetched side by side: Maven, pip and the compiler rarely want the same thing.
 *
 * Kafka and S3 are required when asked for. TensorFlow's library and ffmpeg are not: without them the service is slower or
 * decodes fewer formats, and says so.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { cacheRoot, type PartOptions, type ProvisionedFolder } from './cache-directory.js';
import type { KafkaInstall } from './kafka-broker.js';
import { provisionFfmpeg, type FfmpegInstall } from './provision-ffmpeg.js';
import { provisionClassData, provisionKafka } from './provision-kafka.js';
import { provisionSeaweedfs, type SeaweedfsInstall } from './provision-seaweedfs.js';
import { provisionTensorflow, type TensorflowInstall } from './provision-tensorflow.js';

export interface ProvisionOptions {
  /** One line per part; `warning` for what is missed but not needed. */
  log: (line: string, level: 'info' | 'warning') => void;
  /** False when KAFKA_BROKERS names a broker. Default true. */
  needKafka?: boolean;
  /** False when S3_ENDPOINT names a server. Default true. */
  needS3?: boolean;
  /** False for a process that never trains. Default true. */
  needTensorflow?: boolean;
  /** TensorFlow for an NVIDIA GPU as well. Default false. */
  needGpu?: boolean;
  env?: NodeJS.ProcessEnv;
}

export interface Provisioned {
  cacheRoot: string;
  kafka?: KafkaInstall;
  seaweedfs?: SeaweedfsInstall;
  /** Absent: the wasm and cpu back ends serve. */
  tensorflow?: TensorflowInstall;
  /** Absent: only WAV and FLAC decode. `path` is for FFMPEG_BIN. */
  ffmpeg?: FfmpegInstall;
}

/**
 * Under 100 ms when all parts are in place.
 * @throws PipelineError `PREREQUISITE_MISSING` (all that is missing, one line each), `SETUP_FAILED`, `DISK_FULL`.
 */
export async function provisionAll(options: ProvisionOptions): Promise<Provisioned> {
  const { log, needKafka = true, needS3 = true, needTensorflow = true, needGpu = false, env = process.env } = options;
  const root = cacheRoot(env);
  const report = new Report(log);
  const optional = async <T>(name: string, consequence: string, part: Promise<T>): Promise<T | undefined> => {
    try {
      return await part;
    } catch (error) {
      log(`${name}: ${messageOf(error)} (${consequence})`, 'warning');
      return undefined;
    }
  };
  const [kafka, seaweedfs, tensorflow, ffmpeg, gpu] = await Promise.allSettled([
    needKafka ? setUpKafka(root, env, report) : undefined,
    needS3 ? report.of('SeaweedFS', 'fetching 48 MB', (options) => provisionSeaweedfs(root, env, options)) : undefined,
    needTensorflow
      ? optional(
          'TensorFlow',
          'going on with wasm or cpu, which are slower',
          report.of('TensorFlow', 'fetching 207 MB and compiling its binding', (options) => provisionTensorflow(root, env, options)),
        )
      : undefined,
    optional(
      'ffmpeg',
      'going on with WAV and FLAC only',
      report.of('ffmpeg', 'fetching about 30 MB', (options) => provisionFfmpeg(root, env, options)),
    ),
    // Asked for by name: going on without would be no answer.
    needGpu
      ? report.of('TensorFlow for GPUs', 'fetching 2.4 GB and compiling its binding', (options) =>
          provisionTensorflow(root, env, { ...options, variant: 'gpu' }),
        )
      : undefined,
  ]);
  throwFailures([kafka, seaweedfs, tensorflow, ffmpeg, gpu]);
  return {
    cacheRoot: root,
    kafka: valueOf(kafka),
    seaweedfs: valueOf(seaweedfs),
    tensorflow: valueOf(tensorflow),
    ffmpeg: valueOf(ffmpeg),
  };
}

async function setUpKafka(root: string, env: NodeJS.ProcessEnv, report: Report): Promise<KafkaInstall> {
  const install = await report.of('Kafka', 'fetching 43 MB of jars', (options) => provisionKafka(root, env, options));
  const classData = await provisionClassData(root, install, (reason) => {
    report.log(`Kafka's class-data archive: ${reason} (going on without: a start takes a second longer)`, 'warning');
  });
  return { java: install.java, classPath: install.classPath, cdsId: install.cdsId, classData };
}

/** Prints a line when a part has to be made, and one when it is; parts that were there are not worth one. */
class Report {
  private readonly startedMs = Date.now();

  constructor(readonly log: ProvisionOptions['log']) {}

  async of<T extends { folder?: ProvisionedFolder }>(name: string, making: string, part: (options: PartOptions) => Promise<T>): Promise<T> {
    const result = await part({ onMake: () => this.log(`${name}  ${making} …`, 'info') });
    const { folder } = result;
    if (folder?.fresh) {
      const size = `${Math.round(folder.stamp.sizeBytes / 1e6)} MB`;
      const seconds = ((Date.now() - this.startedMs) / 1000).toFixed(1);
      this.log(`${name}  ${size}, ${seconds} s, verified: ${folder.stamp.verified}`, 'info');
    }
    return result;
  }
}

/** One error for all required parts that failed, so that a user installs everything missing at once. */
function throwFailures(parts: PromiseSettledResult<unknown>[]): void {
  const reasons = parts.flatMap((part) => (part.status === 'rejected' ? [part.reason as unknown] : []));
  const [first] = reasons;
  if (reasons.length === 0) return;
  if (reasons.length === 1) throw first;
  const code = first instanceof PipelineError ? first.code : 'SETUP_FAILED';
  throw new PipelineError(code, reasons.map(messageOf).join('\n'), { cause: first });
}

function valueOf<T>(part: PromiseSettledResult<T>): T | undefined {
  return part.status === 'fulfilled' ? part.value : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
