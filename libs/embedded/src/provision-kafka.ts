/**
 * Fetches the jars of a real Kafka broker with Maven and verifies each against the committed `deploy/embedded/kafka/jars.sha256`.
 * Also makes an AppCDS archive (JEP 310/350) of the classes that a start loads, so that the broker is ready about a second earlier.
 *
 * The archive is optional: without it the broker starts more slowly.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { assetPath } from './asset-path.js';
import { provisionFolder, type PartOptions, sha256OfFile, type ProvisionedFolder } from './cache-directory.js';
import { freePorts } from './free-ports.js';
import { EmbeddedKafka, type KafkaInstall } from './kafka-broker.js';
import { findOnPath, runCommand } from './run-command.js';

const instead = 'or set KAFKA_BROKERS to your own broker';

/** @throws PipelineError `PREREQUISITE_MISSING` (java ≥ 17, mvn), `SETUP_FAILED`, `DISK_FULL`. */
export async function provisionKafka(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  options: PartOptions = {},
): Promise<KafkaInstall & { folder: ProvisionedFolder }> {
  const java = await findJava(root, env);
  const lock = await readFile(assetPath('kafka', 'jars.sha256'), 'utf8');
  const lockId = createHash('sha256').update(lock).digest('hex').slice(0, 8);
  const folder = await provisionFolder(root, `kafka-4.4.0-${lockId}`, (temporary) => fetchJars(temporary, lock, env), options);
  const jars = [...parseLock(lock).keys()].sort();
  return { java: java.path, classPath: jars.map((jar) => join(folder.path, jar)).join(delimiter), cdsId: `${lockId}-${java.id}`, folder };
}

/**
 * Finds the class-data archive for this Java and these jars, or makes it by one trial start of the broker (about 6 s, once).
 * @returns its path, or undefined if that failed; `onFailure` gets the reason.
 */
export async function provisionClassData(
  root: string,
  install: KafkaInstall,
  onFailure: (reason: string) => void,
): Promise<string | undefined> {
  try {
    const folder = await provisionFolder(root, `kafka-cds-${install.cdsId}`, async (temporary) => {
      await recordClassData(install, join(temporary, 'kafka.jsa'));
      return 'made here by a trial start';
    });
    return join(folder.path, 'kafka.jsa');
  } catch (error) {
    onFailure(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

async function recordClassData(install: KafkaInstall, archive: string): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'undertone-cds-'));
  try {
    const [port = 0, controllerPort = 0] = await freePorts(2);
    const broker = new EmbeddedKafka({ install, dataDir, port, controllerPort, jvmArguments: [`-XX:ArchiveClassesAtExit=${archive}`] });
    await broker.start();
    await broker.stop({ graceMs: 60_000 });
    await stat(archive);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function fetchJars(temporary: string, lock: string, env: NodeJS.ProcessEnv): Promise<string> {
  const mvn = env['MVN'] ?? 'mvn';
  const ifMissing = `Maven is missing: run apt-get install maven, ${instead}`;
  if (!findOnPath(mvn, env)) throw new PipelineError('PREREQUISITE_MISSING', ifMissing);
  const args = ['-q', '-B', '-ntp', '-f', assetPath('kafka', 'pom.xml'), 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  await runCommand(mvn, [...args, `-DoutputDirectory=${temporary}`], {
    cwd: temporary,
    env,
    label: 'mvn dependency:copy-dependencies of Kafka',
    ifMissing,
  });
  const expected = parseLock(lock);
  const present = (await readdir(temporary)).filter((name) => name.endsWith('.jar'));
  const surplus = present.filter((name) => !expected.has(name));
  if (surplus.length > 0)
    throw new PipelineError(
      'SETUP_FAILED',
      `Maven fetched jars that jars.sha256 does not list: ${surplus.join(', ')}. Check the Maven mirror, then run setup again`,
    );
  for (const [jar, sha256] of expected) {
    if (!present.includes(jar))
      throw new PipelineError(
        'SETUP_FAILED',
        `Maven did not fetch ${jar}, which jars.sha256 lists: check the Maven mirror, then run setup again`,
      );
    const actual = await sha256OfFile(join(temporary, jar));
    if (actual !== sha256)
      throw new PipelineError(
        'SETUP_FAILED',
        `${jar} is not the file that jars.sha256 expects (sha256 ${actual}): delete its copy in the local Maven repository, then run setup again`,
      );
  }
  return `${expected.size} jars by sha256`;
}

/** Parses the lines of `sha256sum`: digest, two spaces, file name. */
export function parseLock(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [digest = '', name = ''] = line.trim().split(/\s+\*?/);
      return [name, digest];
    }),
  );
}

/** Finds Java 17 or later in JAVA_HOME, else on PATH. `java -version` takes 0.1 s, so its answer is cached by path and time of change. */
async function findJava(root: string, env: NodeJS.ProcessEnv): Promise<{ path: string; id: string }> {
  const missing = `Java 17 or later is missing: run apt-get install openjdk-17-jre-headless maven, ${instead}`;
  const home = env['JAVA_HOME'];
  const found = home ? findOnPath(join(home, 'bin', process.platform === 'win32' ? 'java.exe' : 'java'), env) : findOnPath('java', env);
  if (!found) throw new PipelineError('PREREQUISITE_MISSING', home ? `JAVA_HOME holds no bin/java; ${missing}` : missing);
  const path = await realpath(found);
  const { mtimeMs, size } = await stat(path);
  const id = createHash('sha256').update(`${path}\n${mtimeMs}\n${size}`).digest('hex').slice(0, 8);
  const remembered = join(root, `java-${id}.txt`);
  const known = await readFile(remembered, 'utf8').catch(() => undefined);
  const version = known ?? (await runCommand(found, ['-version'], { label: 'java -version', env, timeoutMs: 30_000 }));
  const major = Number(/version "(?:1\.)?(\d+)/.exec(version)?.[1] ?? 0);
  if (major < 17) throw new PipelineError('PREREQUISITE_MISSING', `Java ${major || 'of unknown version'} was found; ${missing}`);
  if (known === undefined) {
    await mkdir(root, { recursive: true });
    await writeFile(`${remembered}.${process.pid}`, version);
    await rename(`${remembered}.${process.pid}`, remembered);
  }
  return { path: found, id };
}
