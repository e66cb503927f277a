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

test('all missing prerequisites are named at once, with what to install or to set instead', async () => {
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

test('without Kafka and S3 to provide, nothing is required', async () => {
  const env = { PATH: folder, UNDERTONE_CACHE: join(folder, 'cache'), PYTHON: join(folder, 'python3') };
  const provisioned = await provisionAll({ env, log: () => undefined, needKafka: false, needS3: false, needTensorflow: false });
  expect(provisioned.kafka).toBeUndefined();
  expect(provisioned.seaweedfs).toBeUndefined();
});

test('the jar lock reads what sha256sum writes', () => {
  expect([...parseLock('# jars\nabc  a-1.jar\ndef *b-2.jar\n')]).toEqual([
    ['a-1.jar', 'abc'],
    ['b-2.jar', 'def'],
  ]);
});

test('a failing tool is told in one line, the one that names the error', async () => {
  const script = 'console.log("Downloading"); console.error("ERROR: hash mismatch"); console.log("bye"); process.exit(2)';
  await expect(runCommand(process.execPath, ['-e', script], { label: 'fetching' })).rejects.toThrow(
    'fetching exited with code 2: ERROR: hash mismatch',
  );
  expect(tellingLine('\u001b[31mone\u001b[0m\n\n')).toBe('one');
});

test('a full disk has a code of its own', async () => {
  const full = runCommand(process.execPath, ['-e', 'console.error("No space left on device"); process.exit(1)']);
  await expect(full).rejects.toMatchObject({ code: 'DISK_FULL' });
});

test('a taken port is named together with the variable that moves it', async () => {
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

test('free ports differ from each other', async () => {
  const ports = await freePorts(10);
  expect(new Set(ports).size).toBe(10);
  expect(new Set(Object.values(seaweedfsPorts(ports))).size).toBe(10);
});
