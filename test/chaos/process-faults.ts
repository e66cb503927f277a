/**
 * Faults of processes: kill -9, SIGTERM, and SIGSTOP for longer than a session (a zombie that later continues its work). Some
 * strike at the worst moments: when the store has an object that is not announced yet, or just after an answer of the store that
 * will be outdated when the service uses it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChaosWorld, type ServiceName, serviceNames } from './chaos-world.js';
import type { Fault } from './fault.js';
import type { AnsweredRequest } from './s3-answers.js';
import type { SeededRandom } from './seeded-random.js';

/** Longer than the session timeout of 10 s. */
const zombieMs = [12_000, 17_000] as const;
const momentLimitMs = 25_000;

export function processFaults(world: ChaosWorld): Fault[] {
  const services = serviceNames.flatMap((service) => [
    { kind: `kill -9 ${service}`, strike: () => signal(world, service, 'SIGKILL'), after: service },
    { kind: `SIGTERM ${service}`, strike: () => signal(world, service, 'SIGTERM'), after: service },
    { kind: `SIGSTOP ${service}`, strike: (random: SeededRandom) => suspend(world, service, random), after: service },
  ]);
  return [...services, ...serverFaults(world, 'broker'), ...serverFaults(world, 'store'), ...atWorstMoments(world)];
}

function serverFaults(world: ChaosWorld, name: 'broker' | 'store'): Fault[] {
  const server = (): ChaosWorld['kafkaServer'] | ChaosWorld['s3Server'] => (name === 'broker' ? world.kafkaServer : world.s3Server);
  return [
    {
      kind: `kill -9 ${name}`,
      strike: async (random) => {
        await server().kill();
        await sleep(random.between(0, 5_000));
        await server().start();
        return true;
      },
    },
    {
      kind: `SIGTERM ${name}`,
      strike: async () => {
        await server().stop();
        await server().start();
        return true;
      },
    },
    {
      kind: `SIGSTOP ${name}`,
      strike: (random) => suspendProcess(server().pid, random),
    },
  ];
}

function atWorstMoments(world: ChaosWorld): Fault[] {
  const isShard = ({ method, path }: AnsweredRequest): boolean => method === 'PUT' && path.includes('/shards/');
  const isManifest = ({ method, path }: AnsweredRequest): boolean => method === 'PUT' && /\/models\/.*\/manifest\.json/.test(path);
  const isRecording = ({ method, path }: AnsweredRequest): boolean => method === 'GET' && /\/corpora\/.*\.(wav|flac)/.test(path);
  const isHead = ({ method, path }: AnsweredRequest): boolean => method === 'HEAD' && /\/corpora\/.*\.(wav|flac)$/.test(path);
  const killedAt = (services: string, isMoment: Moment) => () =>
    atMoment(world, { services, isMoment }, (service) => signal(world, service, 'SIGKILL'));
  const stoppedAt = (services: string, isMoment: Moment) => (random: SeededRandom) =>
    atMoment(world, { services, isMoment }, (service) => suspend(world, service, random));
  return [
    { kind: 'kill -9 features between put and announcement', strike: killedAt('features', isShard) },
    { kind: 'kill -9 trainer after the put of a manifest', strike: killedAt('trainer', isManifest), after: 'trainer' },
    { kind: 'SIGSTOP features between put and announcement', strike: stoppedAt('features', isShard) },
    { kind: 'SIGSTOP features as it gets a recording', strike: stoppedAt('features', isRecording) },
    { kind: 'SIGSTOP ingest between head and publish', strike: stoppedAt('ingest', isHead), after: 'ingest' },
  ];
}

type Moment = (request: AnsweredRequest) => boolean;

/** @returns false if the moment did not come */
async function atMoment(
  world: ChaosWorld,
  { services, isMoment }: { services: string; isMoment: Moment },
  strike: (service: ServiceName) => Promise<boolean>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (happened: boolean | Promise<boolean>): void => {
      clearTimeout(timer);
      world.onAnswered.delete(watch);
      resolve(happened);
    };
    const timer = setTimeout(() => end(false), momentLimitMs);
    const watch = (service: ServiceName, request: AnsweredRequest): void => {
      if (service.startsWith(services) && request.status === 200 && isMoment(request)) end(strike(service));
    };
    world.onAnswered.add(watch);
  });
}

function signal(world: ChaosWorld, service: ServiceName, name: NodeJS.Signals): Promise<boolean> {
  const pid = world.pidOf(service);
  if (pid === undefined) return Promise.resolve(false); // it is being started just now
  process.kill(pid, name);
  return Promise.resolve(true);
}

/** Stops the process with its children, like a machine that freezes. */
function suspend(world: ChaosWorld, service: ServiceName, random: SeededRandom): Promise<boolean> {
  return suspendProcess(world.pidOf(service), random);
}

async function suspendProcess(pid: number | undefined, random: SeededRandom): Promise<boolean> {
  if (pid === undefined) return false;
  process.kill(-pid, 'SIGSTOP');
  await sleep(random.between(...zombieMs));
  process.kill(-pid, 'SIGCONT');
  return true;
}
