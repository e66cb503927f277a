/**
 * Monitoring as people run it: a real Prometheus, with the committed configuration, scrapes the four real services while they
 * take a small corpus to a round, an evaluation, a champion and dead letters; then every panel's query and every alert's
 * expression must have data. A misspelt metric or label is found here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { findOnPath, runCommand } from '#embedded/run-command.js';
import { packageRoot } from '#service/package-root.js';
import { undertone } from './command-line.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { PrometheusServer, prometheusFolder, type AlertRule } from './prometheus-server.js';
import { RunningPipeline } from './running-pipeline.js';

const isThere = findOnPath('prometheus') !== undefined && findOnPath('promtool') !== undefined;
const isRequired = process.env['REQUIRE_PROMETHEUS'] === '1';
if (!isThere && !isRequired) {
  console.warn(
    'SKIPPED: prometheus and promtool are not installed (on Debian: apt-get install prometheus); no dashboard or alert is tried',
  );
}

interface Panel {
  dashboard: string;
  title: string;
  exprs: string[];
}

const dashboardFolder = join(packageRoot, 'deploy/grafana/dashboards');
const panels = readdirSync(dashboardFolder).flatMap((name): Panel[] => {
  const dashboard = JSON.parse(readFileSync(join(dashboardFolder, name), 'utf8')) as {
    title: string;
    panels: { title: string; targets: { expr: string }[] }[];
  };
  return dashboard.panels.map(({ title, targets }) => ({ dashboard: dashboard.title, title, exprs: targets.map(({ expr }) => expr) }));
});

/** Replaces Grafana's variables. The whole test runs within the last five minutes. */
const filled = (expr: string): string => expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'undertone');
/** The expression of an alert without its comparisons. */
const compared = (expr: string): string => expr.replaceAll(/ (==|!=|>=|<=|>|<) [\d.e+]+/g, '');

describe.skipIf(!isThere && !isRequired)('the rules', () => {
  it.each([
    ['configuration', ['check', 'config', 'prometheus.yaml']],
    ['configuration for containers', ['check', 'config', '--syntax-only', 'prometheus.compose.yaml']],
    ['rules', ['check', 'rules', 'alerts.yaml']],
    ['tests of the rules', ['test', 'rules', 'alerts.test.yaml']],
  ])('pass promtool: %s', async (_what, args) => {
    await runCommand('promtool', args, { cwd: prometheusFolder });
  });

  it('have for each alert a test that it fires, a test that it does not, a severity, and instructions', () => {
    const rules = readFileSync(join(prometheusFolder, 'alerts.yaml'), 'utf8');
    const tests = readFileSync(join(prometheusFolder, 'alerts.test.yaml'), 'utf8');
    const documented = readFileSync(join(packageRoot, 'docs/monitoring.md'), 'utf8');
    const alerts = [...rules.matchAll(/- alert: Undertone(\w+)\n(?:(?!- alert)[^])*/g)];
    expect(alerts.length).toBeGreaterThan(10);
    for (const [text, name] of alerts) {
      expect(tests, name).toMatch(new RegExp(`name: ${name} fires`));
      expect(tests, name).toMatch(new RegExp(`name: ${name} does not fire`));
      expect(text, name).toMatch(/severity: (warning|critical)/);
      expect(text, name).toMatch(/docs\/(operations|monitoring|configuration)\.md|Training dashboard/);
      expect(documented, name).toContain(`Undertone${name}`);
    }
  });
});

describe.skipIf(!isThere && !isRequired)('on live data', () => {
  const pipeline = new RunningPipeline({ ROUND_QUIET: '2', PROMOTION_CONFIDENCE: '0.5', COMPACTION_INTERVAL: '5' });
  const prometheus = new PrometheusServer();

  beforeAll(async () => {
    await pipeline.prepare();
    const services = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'] as const;
    await prometheus.start(Object.fromEntries(services.map((service) => [service, new URL(pipeline.url(service)).host])));
    pipeline.start(...services);
    // Prometheus sees an increase only if it scraped the series before.
    await pipeline.until('all services scraped', async () => (await prometheus.query('sum(up) == 5')).length === 1);
    await pipeline.until('and ready', async () => (await ready(services.map((service) => pipeline.url(service)))) === 5);
    const { store, overview } = pipeline;
    const { paths } = await putMadeCorpus(store, 'made', { speakers: 9, devSpeakers: 5, each: 2 });
    await store.put(corpusKey('made', 'bad/text.wav'), 'This is no sound at all, only a text.');
    await pipeline.until('all in shards', () => overview.reconcile().inShards === paths.length && overview.deadLetters.length === 1);
    const decided = () => overview.snapshot().promotions.find(({ target }) => target === 'emotion');
    await pipeline.until('a decision on the first model', () => decided() !== undefined);
    if (!decided()?.champion) {
      const { runId, step } = decided()?.rejected?.challenger ?? { runId: '', step: 0 };
      expect(await undertone(pipeline, 'promote', `${runId}/${step}`, '--yes')).toMatchObject({ code: 0 });
    }
    await pipeline.until('a champion', () => decided()?.champion?.number === 1);
    const first = overview.snapshot().checkpoint?.step ?? 0;
    await store.put(corpusKey('late', 'u.wav'), toneWav({ pitchHz: 210 }));
    await pipeline.until('a second model', () => (overview.snapshot().checkpoint?.step ?? 0) > first);
    // The evaluator updates its metrics of models from its overview every five seconds.
    await pipeline.until('all of it scraped', async () => {
      const seen = await prometheus.query(
        'undertone_evaluator_model_newest_utterance_timestamp_seconds == on (instance) floor(undertone_evaluator_newest_utterance_timestamp_seconds)',
      );
      return seen.length === 1 && (await prometheus.query('undertone_trainer_compaction_runs_total{outcome="done"} > 0')).length === 1;
    });
  }, 240_000);

  afterAll(async () => {
    await prometheus.stop();
    await pipeline.close();
  });

  it.each(panels.map((panel) => [`${panel.dashboard}: ${panel.title}`, panel] as const))('%s', async (_name, { exprs }) => {
    for (const expr of exprs) {
      const samples = await prometheus.query(filled(expr));
      expect(samples.filter(({ value }) => Number.isFinite(value)).length, `${filled(expr)}\n${JSON.stringify(samples)}`).toBeGreaterThan(
        0,
      );
    }
  });

  it('has data for every alert, and none fires in a healthy pipeline', async () => {
    const rules = await prometheus.alertRules();
    expect(rules.length).toBeGreaterThan(10);
    const empty: AlertRule[] = [];
    for (const { name, expr } of rules)
      if ((await prometheus.query(compared(expr))).length === 0) empty.push({ name, expr: compared(expr) });
    expect(empty).toEqual([]);
    expect((await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric['alertname'])).toEqual([]);
  });

  it('reports the freshness of the newest model as the age of the newest recording, and an older champion', async () => {
    const one = async (expr: string): Promise<number> => (await prometheus.query(expr))[0]?.value ?? Number.NaN;
    const late = pipeline.overview.newestTrainableAt ?? '';
    const model = await one('max(undertone_evaluator_model_newest_utterance_timestamp_seconds)');
    expect(model).toBe(Math.floor(Date.parse(late) / 1000));
    expect(await one('max(undertone_evaluator_champion_newest_utterance_timestamp_seconds)')).toBeLessThanOrEqual(model);
    const age = await one('time() - max(undertone_evaluator_model_newest_utterance_timestamp_seconds)');
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThan(240);
  });

  it('has bounded labels in all metrics', async () => {
    const series = await prometheus.query('count by (__name__) ({__name__=~"undertone_.+",__name__!~".+_bucket"})');
    expect(series.length).toBeGreaterThan(60);
    for (const { metric, value } of series) expect(value, metric['__name__']).toBeLessThan(120);
    const names = await prometheus.query('{__name__=~"undertone_.+"}');
    const values = new Set(names.flatMap(({ metric }) => Object.values(metric)));
    expect([...values].filter((value) => value.includes('made/') || value.endsWith('.wav'))).toEqual([]);
  });
});

async function ready(urls: string[]): Promise<number> {
  const answers = await Promise.all(urls.map((url) => fetch(`${url}/health/ready`).catch(() => null)));
  return answers.filter((answer) => answer?.ok).length;
}
