/**
 * The dashboard in a real browser: the real controller serves the real page over an overview that the test feeds with facts. The
 * test needs no Kafka and no S3. test/integration tests the whole pipeline behind the page.
 */
import 'reflect-metadata';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { Subject as Stream } from 'rxjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { readHttpAccess } from '#service/http-access.js';
import { guardHttp } from '#service/http-server.js';
import { type ServiceRestarts, troublesOf } from '#overview/troubles.js';
import { DashboardController } from '../../apps/evaluator/src/dashboard.controller.js';
import { EvaluatorStage, type DashboardState } from '../../apps/evaluator/src/evaluator-stage.js';
import { browserIsSkipped, launchChromium } from './launch-chromium.js';
import { applyBusyPipeline, deadLetter, promoted, roundFinished, shard, stepTrained, utterance } from './pipeline-facts.js';

/** The part of the evaluator that the dashboard uses, with an overview that the test feeds. */
class FedStage {
  readonly overview = new PipelineOverview();
  readonly stateChanges = new Stream<DashboardState>();
  restarts: ServiceRestarts[] = [];
  stages: DashboardState['stages'] = { ingest: 'ready', features: 'ready', trainer: 'starting', evaluator: 'ready', predictor: 'ready' };

  state(): DashboardState {
    const snapshot = this.overview.snapshot();
    return { ...snapshot, stages: this.stages, troubles: troublesOf(snapshot, this.restarts) };
  }

  publish(): void {
    this.stateChanges.next(this.state());
  }

  /** Like the evaluator, this runs only after HTTP has closed. */
  onApplicationShutdown(): void {
    this.stateChanges.complete();
  }
}

async function serve(stage: FedStage, port = 0): Promise<INestApplication> {
  @Module({ controllers: [DashboardController], providers: [{ provide: EvaluatorStage, useValue: stage }] })
  class PageModule {}
  const app = await NestFactory.create<NestExpressApplication>(PageModule, { logger: false, bodyParser: false });
  guardHttp(app, readHttpAccess('127.0.0.1', {}));
  await app.listen(port, '127.0.0.1');
  return app;
}

const portOf = (app: INestApplication): number => (app.getHttpServer() as { address(): AddressInfo }).address().port;

describe.skipIf(browserIsSkipped)('dashboard', () => {
  let browser: Browser;
  let stage: FedStage;
  let app: INestApplication;
  let origin: string;
  let complaints: string[];
  let requests: string[];

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(async () => browser?.close());

  beforeEach(async () => {
    stage = new FedStage();
    app = await serve(stage);
    origin = `http://127.0.0.1:${portOf(app)}`;
    complaints = [];
    requests = [];
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await app.close();
  });

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(origin);
    await says(page, 'connection', 'live');
    return page;
  }

  it('says what to do in an empty pipeline', async () => {
    const page = await open();
    await says(page, 'reconciliation', 'No utterances yet.');
    await says(page, 'training-hint', 'No shard yet. Copy audio into corpora/<name>/ or run ./undertone put DIR --corpus NAME');
    await says(page, 'champions', /^No champion yet/);
    await says(page, 'dead-letters-total', '0');
    expect(complaints).toEqual([]);
  });

  it('shows the flow of data, training, models and dead letters', async () => {
    applyBusyPipeline(stage.overview);
    const page = await open();
    await says(page, 'utterances-live', '240');
    await says(page, 'in-shards', '235');
    await says(page, 'dead-lettered', '5');
    await says(page, 'in-flight', '0');
    await says(page, 'reconciliation', 'It adds up: 240 = 235 in shards + 5 dead-lettered + 0 in flight');
    await says(page, 'tiles-labelled', '180');
    await says(page, 'tiles-unlabelled', '525');
    await says(page, 'audio', '17 min 14 s');
    await says(page, 'silence-cut', '2 min 21 s');
    await says(page, 'left-out', /^Left out: \d+ tiles with little speech\.$/);
    await says(page, 'round', 'Round 2');
    await says(page, 'step', 'Step 540 of 800');
    await says(page, 'stage-trainer', /starting/);
    await says(page, 'ua-emotion-test', /^\d\d\.\d\s%$/);
    await says(page, 'evaluation-emotion-dev', /fewer than five speakers/);
    await says(page, 'evaluation-emotion-test', /women 70\.0\s%, men 50\.0\s%.*median speaker 60\.0\s%, worst 25\.0\s%/s);
    await says(page, 'evaluation-emotion-test', /25\.0\s%/);
    await says(page, 'evaluation-speaker-withheld', /the speakers are the classes/);
    await says(page, 'confusion', /prediction →.*angry.*happy.*neutral.*sad/s);
    await says(page, 'dead-letters-by-code', /AUDIO_EMPTY\s*3\s*AUDIO_UNDECODABLE\s*2/);
    await says(page, 'champion-ua-emotion', /^UA \d\d\.\d\s%$/);
    await says(page, 'champion-emotion', /Champion of emotion.*run-1, step 300; number 2/s);
    await says(page, 'decision-emotion', /step 400, was rejected.*recall of happy fell by 14.3 points/s);
    expect(await page.locator('.plot canvas').count()).toBe(5);
    expect(complaints).toEqual([]);
  });

  it('says why nothing can be promoted', async () => {
    const labels = { speakerId: 'own/s1', category: 'sad' } as const;
    stage.overview.applyUtterance('own/a', { ...utterance('own/a', 'own'), labels });
    const page = await open();
    await says(page, 'why-nothing', /needs 5 dev speakers with labels, and there are 0 \(own has 0 of 1\)/);
  });

  it('shows changes without a reload', async () => {
    applyBusyPipeline(stage.overview);
    const page = await open();
    await says(page, 'utterances-live', '240');
    await page.evaluate('window.sameDocument = true');

    stage.overview.applyUtterance('iemocap/late', utterance('iemocap/late', 'iemocap'));
    stage.publish();
    await says(page, 'utterances-live', '241');
    await says(page, 'in-flight', '1');
    await says(page, 'reconciliation', /one is still in flight/);

    stage.overview.applyShard('c', shard('c', 'labelled', ['iemocap/late']));
    expect(await page.getByTestId('findings').isVisible()).toBe(false);
    const findings = ['No training utterance is sad: the model will never predict it. Add labelled utterances of it.'];
    stage.overview.applyTraining({ ...stepTrained(2, 800), findings });
    stage.overview.applyTraining(roundFinished(2, 800));
    stage.overview.applyPromotion({ ...promoted(500, 3), by: 'person', why: 'It heard our calls better.' });
    stage.stages = { ...stage.stages, features: 'down' };
    stage.publish();
    await says(page, 'in-flight', '0');
    await says(page, 'tiles-labelled', '183');
    await says(page, 'round', 'Round 2, finished');
    await says(page, 'findings', findings[0] as string);
    await says(page, 'champion-emotion', /UA unknown.*step 500; number 3.*by hand.*was promoted.*It heard our calls better/s);
    await says(page, 'tiles-per-sec', /155\.2 tiles\/s/);
    await says(page, 'backend', 'tensorflow');
    await says(page, 'stage-features', /down/);
    expect(await page.evaluate('window.sameDocument')).toBe(true);
    expect(complaints).toEqual([]);
  });

  it('shows restarted services and refused corpora first', async () => {
    const page = await open();
    expect(await page.getByTestId('troubles').isVisible()).toBe(false);
    stage.overview.applyDeadLetter(deadLetter('corpora/acted/<b>.wav', 'MANIFEST_INVALID', 3, 'manifest.csv, line 7: no such gender'));
    stage.restarts = [{ service: 'features', restarts: 2, lastAt: new Date().toISOString() }];
    stage.publish();
    await says(page, 'troubles', /features has restarted 2 times.*Corpus acted is refused.*line 7.*acted\/<b>.wav/s);
    expect(await page.getByTestId('troubles').isVisible()).toBe(true);
    expect(await page.locator('main b').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('shows markup in an object key as text, and does not run it', async () => {
    const key = `corpora/${'long-'.repeat(60)}/<img src=x onerror="window.stolen = true">.wav`;
    stage.overview.applyDeadLetter(deadLetter(key, 'AUDIO_NOT_RECOGNISED', 3, '<script>window.stolen = true</script>'));
    stage.overview.applyUtterance('<b>/1', utterance('<b>/1', '<b onclick=steal()>bold</b>'));
    const page = await open({ viewport: { width: 390, height: 900 } });
    await says(page, 'dead-letters-total', '1');
    expect(await page.getByTestId('dead-letters').textContent()).toContain(key);
    expect(await page.locator('main img, main script, main b[onclick]').count()).toBe(0);
    expect(await page.evaluate('window.stolen')).toBeUndefined();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    expect(complaints).toEqual([]);
  });

  it('lets the service stop while a page is open', async () => {
    await open();
    const before = performance.now();
    await app.close();
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  it('reports a lost connection, and reconnects by itself', async () => {
    const page = await open();
    const port = portOf(app);
    await app.close();
    await says(page, 'connection', 'reconnecting');
    await says(page, 'stage-ingest', /unknown/);
    stage = new FedStage();
    applyBusyPipeline(stage.overview);
    app = await serve(stage, port);
    await says(page, 'connection', 'live');
    await says(page, 'utterances-live', '240');
    await says(page, 'stage-ingest', /ready/);
  });

  it('reconnects after an answer that is not a stream', async () => {
    let refusals = 0;
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route('**/api/events', (route) => (refusals++ === 0 ? route.fulfill({ status: 502 }) : route.continue()));
    await page.goto(origin);
    await says(page, 'connection', 'live');
    expect(refusals).toBe(2);
  });

  it('reports too many open pages, and still shows the state', async () => {
    applyBusyPipeline(stage.overview);
    const others: IncomingMessage[] = [];
    for (let at = 0; at < 64; at++)
      others.push(await new Promise<IncomingMessage>((resolve) => get(`${origin}/api/events`, { agent: false }, resolve)));
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(origin);
    await says(page, 'connection', 'not live: 64 other pages are open, so this page asks every 5 s');
    await says(page, 'utterances-live', '240');
    for (const other of others) other.on('error', () => undefined).destroy();
    await says(page, 'connection', 'live');
  });

  it('hides and shows a line of a chart by keyboard', async () => {
    applyBusyPipeline(stage.overview);
    const page = await open();
    const generator = page.getByRole('button', { name: /generator/ });
    await generator.focus();
    await page.keyboard.press('Enter');
    expect(await generator.getAttribute('aria-pressed')).toBe('false');
    await page.keyboard.press('Enter');
    expect(await generator.getAttribute('aria-pressed')).toBe('true');
  });

  it('loads nothing from elsewhere', async () => {
    applyBusyPipeline(stage.overview);
    await open();
    expect(requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith('data:'))).toEqual([]);
    expect(requests.length).toBeGreaterThanOrEqual(5);
  });

  describe('at every width, light and dark', () => {
    let folder: string;
    beforeAll(async () => {
      folder = process.env['UNDERTONE_SCREENSHOTS'] ?? (await mkdtemp(join(tmpdir(), 'undertone-dashboard-')));
    });
    afterAll(async () => {
      if (process.env['UNDERTONE_SCREENSHOTS'] === undefined) await rm(folder, { recursive: true, force: true });
    });

    const looks = [1280, 390].flatMap((width) =>
      (['light', 'dark'] as const).flatMap((colorScheme) => (['busy', 'empty'] as const).map((state) => ({ width, colorScheme, state }))),
    );
    it.each(looks)('fits into $width pixels, $colorScheme, $state', async ({ width, colorScheme, state }) => {
      if (state === 'busy') applyBusyPipeline(stage.overview);
      const page = await open({ viewport: { width, height: 900 }, colorScheme });
      await says(page, 'utterances-live', state === 'busy' ? '240' : '0');
      const wide = await page.evaluate('document.documentElement.scrollWidth');
      expect(wide).toBeLessThanOrEqual(width);
      const path = join(folder, `dashboard-${width}-${colorScheme}-${state}.png`);
      await page.screenshot({ path, fullPage: true });
      expect((await stat(path)).size).toBeGreaterThan(10_000);
      expect(complaints).toEqual([]);
    });
  });
});

/** Waits until the element with that test id has the expected number or sentence. */
async function says(page: Page, testId: string, expected: string | RegExp): Promise<void> {
  await expect
    .poll(async () => ((await page.getByTestId(testId).textContent({ timeout: 5_000 })) ?? '').trim(), { timeout: 20_000 })
    .toEqual(typeof expected === 'string' ? expected : expect.stringMatching(expected));
}
