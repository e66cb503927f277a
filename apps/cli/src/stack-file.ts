/** Notes the running stack in a file, so that commands such as `./undertone status` find it by themselves. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';
import { makePrivateFolder, requireOwnFolder, writePrivateFile } from '#embedded/private-folder.js';
import type { ChildStatus } from '#embedded/supervisor.js';
import type { ServiceRestarts } from '#overview/troubles.js';
import { packageRoot } from '#service/package-root.js';
import type { Environment } from '#service/read-config.js';

const stackNoteSchema = z.object({
  /** Id of the supervising process. */
  pid: z.number().int().positive(),
  dashboardUrl: z.string(),
  /** Environment variables of its services and of the commands that speak to them. */
  environment: z.record(z.string(), z.string()),
});
export type StackNote = z.infer<typeof stackNoteSchema>;

/** Folder with the data of embedded stacks: `UNDERTONE_HOME`, or `.undertone` beside package.json. */
export function undertoneHome(environment: Environment): string {
  return environment['UNDERTONE_HOME'] || join(packageRoot, '.undertone');
}

/** Creates the folder readable by its owner only. An existing folder keeps its permissions, because it may hold other files. */
export function makeUndertoneHome(environment: Environment): void {
  if (environment['UNDERTONE_HOME']) mkdirSync(undertoneHome(environment), { recursive: true, mode: 0o700 });
  else makePrivateFolder(undertoneHome(environment));
  requireOwnFolder(undertoneHome(environment), 'UNDERTONE_HOME');
}

const notePath = (environment: Environment): string => join(undertoneHome(environment), 'stack.json');

export function writeStackNote(environment: Environment, note: StackNote): void {
  const path = notePath(environment);
  makeUndertoneHome(environment);
  // The file holds the keys of the embedded object store and the token of the services.
  writePrivateFile(path, JSON.stringify(note, null, 2));
}

export function removeStackNote(environment: Environment): void {
  rmSync(notePath(environment), { force: true });
}

/**
 * @returns null if no stack is noted, if the noted one has ended, or if the note is damaged
 * @throws PipelineError CONFIG_INVALID if another user could have written the note: it says to whom commands give their keys
 */
export function readStackNote(environment: Environment): StackNote | null {
  const path = notePath(environment);
  if (!existsSync(path)) return null;
  requireOwnFolder(undertoneHome(environment), 'UNDERTONE_HOME');
  const note = parsedNote(readFileSync(path, 'utf8'));
  return note && isAlive(note.pid) ? note : null;
}

function parsedNote(text: string): StackNote | undefined {
  try {
    return stackNoteSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // no JSON
  }
}

const restartsPath = (environment: Environment): string => join(undertoneHome(environment), 'restarts.json');
const restartsSchema = z.array(
  z.object({
    service: z.string(),
    restarts: z.number(),
    lastAt: z.string(),
    lastExit: z.string().optional(),
    logFile: z.string().optional(),
  }),
);

/** Notes which services the supervisor has restarted. If writing fails, as on a full disk, the stack goes on. */
export function writeRestarts(environment: Environment, children: readonly ChildStatus[]): void {
  const restarts = children.flatMap(({ name, restarts: count, restartedAt, lastExit, logFile }): ServiceRestarts[] =>
    restartedAt === undefined ? [] : [{ service: name, restarts: count, lastAt: restartedAt, lastExit, logFile }],
  );
  const path = restartsPath(environment);
  try {
    writeFileSync(`${path}.part`, JSON.stringify(restarts));
    renameSync(`${path}.part`, path);
  } catch {
    rmSync(`${path}.part`, { force: true });
  }
}

/** @returns the restarts in the stack that runs on this machine; null if none runs, or the note cannot be read */
export function readRestarts(environment: Environment): ServiceRestarts[] | null {
  if (!readStackNote(environment)) return null;
  try {
    return restartsSchema.parse(JSON.parse(readFileSync(restartsPath(environment), 'utf8')));
  } catch {
    return null;
  }
}

/**
 * Chooses the environment of a command: its own if it names a broker, else that of the running stack.
 * @throws PipelineError CONFIG_INVALID if there is neither
 */
export function stackEnvironment(environment: Environment): Environment {
  const note = readStackNote(environment);
  const named = environment['KAFKA_BROKERS'];
  if (named && named !== note?.environment['KAFKA_BROKERS']) return environment;
  if (!note) {
    throw new PipelineError(
      'CONFIG_INVALID',
      'No stack is running. Start one with `npm start` or `./undertone up`, or set KAFKA_BROKERS and S3_ENDPOINT.',
    );
  }
  // Variables that the caller sets win: TOPIC_PREFIX and S3_BUCKET may name others.
  return { ...environment, ...note.environment, ...pickSaid(environment) };
}

const pickSaid = (environment: Environment): Environment =>
  Object.fromEntries(['TOPIC_PREFIX', 'S3_BUCKET'].flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
