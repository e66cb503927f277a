import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePorts, isPortFree } from './free-ports.js';
import { EmbeddedKafka } from './kafka-broker.js';
import { provisionAll } from './provision.js';
import { parseLock } from './provision-kafka.js';
import { runCommand, tellingLine } from './run-command.js';
import { seaweedfsPorts } from './seaweedfs.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'undertone-provision-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('names all missing prerequisites at once, each with the package to install or the variable to set', async () => {
  const env = { PATH: folder, UNDERTONE_CACHE: join(folder, 'cache') };
  const warnings: string[] = [];
  const setUp = provisionAll({ env, log: (line, level) => void (level === 'warning' && warnings.push(line)), needTensorflow: false });
  const error: Error = await setUp.then(
    () => new Error('passed'),
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ code: 'PREREQUISITE_MISSING' });
  expect(error.message).toMatch(/apt-get install openjdk-17-jre-headless maven.*KAFKA_BROKERS/);
  expect(error.message).toMatch(/apt-get install python3-pip.*S3_ENDPOINT/);
});

test('requires nothing if Kafka and S3 are external', async () => {
  const env = { PATH: folder, UNDERTONE_CACHE: join(folder, 'cache'), PYTHON: join(folder, 'python3') };
  const provisioned = await provisionAll({ env, log: () => undefined, needKafka: false, needS3: false, needTensorflow: false });
  expect(provisioned.kafka).toBeUndefined();
  expect(provisioned.seaweedfs).toBeUndefined();
});

test('parses the jar lock in the format of sha256sum', () => {
  expect([...parseLock('# jars\nabc  a-1.jar\ndef *b-2.jar\n')]).toEqual([
    ['a-1.jar', 'abc'],
    ['b-2.jar', 'def'],
  ]);
});

test('reports a failing tool in one line that names the error', async () => {
  const script = 'console.log("Downloading"); console.error("ERROR: hash mismatch"); console.log("bye"); process.exit(2)';
  await expect(runCommand(process.execPath, ['-e', script], { label: 'fetching' })).rejects.toThrow(
    'fetching exited with code 2: ERROR: hash mismatch',
  );
  expect(tellingLine('\u001b[31mone\u001b[0m\n\n')).toBe('one');
});

test('reports a full disk as DISK_FULL', async () => {
  const full = runCommand(process.execPath, ['-e', 'console.error("No space left on device"); process.exit(1)']);
  await expect(full).rejects.toMatchObject({ code: 'DISK_FULL' });
});

test('names a taken port and the variable that moves it', async () => {
  const [port = 0, controllerPort = 0] = await freePorts(2);
  const occupant = createServer().listen(port, '127.0.0.1');
  await once(occupant, 'listening');
  expect(await isPortFree(port)).toBe(false);
  const install = { java: 'java', classPath: '', cdsId: '' };
  const broker = new EmbeddedKafka({ install, dataDir: folder, port, controllerPort, portVariable: 'SOME_PORT' });
  await expect(broker.start()).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: expect.stringMatching(new RegExp(`port ${port}.*SOME_PORT`)) as string,
  });
  occupant.close();
});

test('finds free ports that differ from each other', async () => {
  const ports = await freePorts(10);
  expect(new Set(ports).size).toBe(10);
  expect(new Set(Object.values(seaweedfsPorts(ports))).size).toBe(10);
});
