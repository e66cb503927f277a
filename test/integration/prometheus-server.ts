/** Runs a real Prometheus with our configuration and rules, in its own folder, against services at given ports. */
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { freePorts } from '#embedded/free-ports.js';
import { findOnPath } from '#embedded/run-command.js';
import { packageRoot } from '#service/package-root.js';

export const prometheusFolder = join(packageRoot, 'deploy/prometheus');

export interface Sample {
  metric: Record<string, string>;
  value: number;
}

export interface AlertRule {
  name: string;
  expr: string;
}

export class PrometheusServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'undertone-prometheus-'));
  private child: ChildProcess | undefined;
  private log = '';
  private url = '';

  /** @param targets service name to host:port. Resolves when it answers. */
  async start(targets: Record<string, string>): Promise<void> {
    if (!findOnPath('prometheus')) throw new Error('prometheus is not installed: on Debian, apt-get install prometheus');
    const config = parse(readFileSync(join(prometheusFolder, 'prometheus.yaml'), 'utf8')) as { global: Record<string, string> };
    // The committed configuration, with shorter intervals.
    config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
    writeFileSync(join(this.folder, 'prometheus.yaml'), stringify(config));
    copyFileSync(join(prometheusFolder, 'alerts.yaml'), join(this.folder, 'alerts.yaml'));
    const groups = Object.entries(targets).map(([service, target]) => ({ targets: [target], labels: { service } }));
    writeFileSync(join(this.folder, 'targets.yaml'), stringify(groups));
    const [port = 0] = await freePorts(1);
    this.url = `http://127.0.0.1:${port}`;
    this.child = spawn(
      'prometheus',
      [
        `--config.file=${join(this.folder, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${join(this.folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.child.stderr?.on('data', (piece: Buffer) => (this.log += piece.toString()));
    for (let tries = 0; tries < 300; tries++) {
      if (this.child.exitCode !== null) break;
      const answer = await fetch(`${this.url}/-/ready`).catch(() => null);
      if (answer?.ok) return;
      await sleep(100);
    }
    throw new Error(`Prometheus did not start:\n${this.log.slice(-2_000)}`);
  }

  /** @throws with the message of Prometheus about an invalid expression */
  async query(expr: string): Promise<Sample[]> {
    const { result } = await this.ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>('query', { query: expr });
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** The rules as Prometheus has read them. */
  async alertRules(): Promise<AlertRule[]> {
    const { groups } = await this.ask<{ groups: { rules: { name: string; query: string }[] }[] }>('rules', { type: 'alert' });
    return groups.flatMap(({ rules }) => rules.map(({ name, query }) => ({ name, expr: query })));
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async ask<Data>(what: string, words: Record<string, string>): Promise<Data> {
    const answer = await fetch(`${this.url}/api/v1/${what}?${new URLSearchParams(words).toString()}`);
    const body = (await answer.json()) as { status: string; error?: string; data: Data };
    if (body.status !== 'success') throw new Error(`${words['query'] ?? what}: ${body.error}`);
    return body.data;
  }
}
