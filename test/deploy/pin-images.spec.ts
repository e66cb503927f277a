/** Runs deploy/pin-images.sh with a client that answers as a registry would. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';

const digest = 'a'.repeat(64);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-pin-'));
  for (const file of ['compose.yaml', 'pin-images.sh']) copyFileSync(join(packageRoot, 'deploy', file), join(folder, file));
  writeFileSync(join(folder, '.env'), 'API_TOKEN=secret\nS3_IMAGE=mirror.example/seaweedfs:4.48\n', { mode: 0o600 });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param answer shell words that print the digest of the image `$5` */
function pin(answer: string, ...args: string[]) {
  const docker = join(folder, 'docker');
  writeFileSync(docker, `#!/bin/sh\n[ "$1" = pull ] && exit 0\n${answer}\n`);
  chmodSync(docker, 0o755);
  return spawnSync('sh', [join(folder, 'pin-images.sh'), ...args], { env: { ...process.env, DOCKER: docker }, encoding: 'utf8' });
}
const env = (): string => readFileSync(join(folder, '.env'), 'utf8');
const honest = `echo "\${5%:*}@sha256:${digest}"`;

describe('pin-images.sh', () => {
  it('writes the digest of each image into .env, keeps the rest, and then finds all pinned', () => {
    const before = pin(honest, '--check');
    expect(before.status).toBe(1);
    expect(before.stderr).toContain('KAFKA_IMAGE=apache/kafka:4.1.0 is not pinned');
    expect(pin(honest).status).toBe(0);
    expect(env().trim().split('\n')).toEqual([
      'API_TOKEN=secret',
      `KAFKA_IMAGE=apache/kafka@sha256:${digest}`,
      `S3_IMAGE=mirror.example/seaweedfs@sha256:${digest}`,
      `PROMETHEUS_IMAGE=prom/prometheus@sha256:${digest}`,
      `GRAFANA_IMAGE=grafana/grafana@sha256:${digest}`,
      `BASE_IMAGE=node@sha256:${digest}`,
    ]);
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    expect(pin('exit 1', '--check').status).toBe(0);
  });

  it.each(['echo', 'echo "$5"', 'exit 1', `echo "x@sha256:${digest.slice(1)}"`])(
    'changes nothing if the answer is no digest: %s',
    (answer) => {
      const before = env();
      expect(pin(answer).status).not.toBe(0);
      expect(env()).toBe(before);
    },
  );
});
