/**
 * Implements `undertone setup`: provides all parts that a fresh machine needs, and prints a progress line for each. For a part in
 * the cache it only checks file sizes, without network. Parts are fetched in parallel, because Maven, pip and the compiler rarely
 * compete for the same resource.
 *
 * Kafka and S3 are required if requested. TensorFlow and ffmpeg are optional: without them the service is slower or decodes fewer
 * formats, and setup prints a warning.
 *
 * If a prerequisite is missing, setup prints one line that says what to install, or which variable to set instead.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { cacheRoot, type PartOptions, type ProvisionedFolder } from './cache-directory.js';
import type { KafkaInstall } from './kafka-broker.js';
import { provisionFfmpeg, type FfmpegInstall } from './provision-ffmpeg.js';
import { provisionClassData, provisionKafka } from './provision-kafka.js';
import { provisionSeaweedfs, type SeaweedfsInstall } from './provision-seaweedfs.js';
import { provisionTensorflow, type TensorflowInstall } from './provision-tensorflow.js';

export interface ProvisionOptions {
  /** Prints one line per part; `warning` if an optional part is missing. */
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
  /** Absent: the service uses the wasm or cpu back end. */
  tensorflow?: TensorflowInstall;
  /** Absent: the service decodes only WAV and FLAC. `path` is for FFMPEG_BIN. */
  ffmpeg?: FfmpegInstall;
}

/**
 * Takes less than 100 ms if all parts are in the cache.
 * @throws PipelineError `PREREQUISITE_MISSING` (all missing prerequisites, one line each), `SETUP_FAILED`, `DISK_FULL`.
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
          'setup continues with wasm or cpu, which are slower',
          report.of('TensorFlow', 'fetching 207 MB and compiling its binding', (options) => provisionTensorflow(root, env, options)),
        )
      : undefined,
    optional(
      'ffmpeg',
      'setup continues, and only WAV and FLAC decode',
      report.of('ffmpeg', 'fetching about 30 MB', (options) => provisionFfmpeg(root, env, options)),
    ),
    // The user asked for the GPU variant by name, so a failure is an error.
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
    report.log(`Kafka's class-data archive: ${reason} (setup continues without it, and a start takes a second longer)`, 'warning');
  });
  return { java: install.java, classPath: install.classPath, cdsId: install.cdsId, classData };
}

/** Prints one line before a part is made and one after. Parts in the cache get no line. */
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

/** Throws one error for all required parts that failed, so that a user can install all prerequisites at once. */
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
