/** The dashboard of the running services in a real browser: numbers change without a reload. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { putMadeCorpus, toneWav } from '../integration/made-corpus.js';
import { RunningPipeline } from '../integration/running-pipeline.js';
import { browserIsSkipped, launchChromium } from './launch-chromium.js';

let pipeline: RunningPipeline;

afterEach(async () => pipeline.close());

it.skipIf(browserIsSkipped)('shows utterances, shards, losses and accuracy of the running pipeline as they come', async () => {
  pipeline = new RunningPipeline();
  await pipeline.prepare();
  pipeline.start('ingest', 'features', 'trainer', 'evaluator');
  await pipeline.until('a dashboard', () =>
    fetch(pipeline.url('evaluator')).then(
      (response) => response.ok,
      () => false,
    ),
  );
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(pipeline.url('evaluator'));
    const number = async (testId: string): Promise<number> =>
      Number((await page.getByTestId(testId).textContent())?.replaceAll(/\D/g, '') || 0);
    expect(await number('utterances-live')).toBe(0);
    const { paths } = await putMadeCorpus(pipeline.store, 'made', { speakers: 4, each: 2 });
    await pipeline.store.put(corpusKey('made', 'bad.wav'), 'no sound');
    await pipeline.until('all utterances on the page', async () => (await number('utterances-live')) === paths.length + 1);
    await pipeline.until(
      'all shards on the page',
      async () => (await number('in-shards')) === paths.length && (await number('dead-lettered')) === 1,
    );
    await pipeline.until('an accuracy on the page', async () => (await page.getByTestId('ua-emotion-test').count()) > 0);
    expect(await page.getByTestId('ua-emotion-test').textContent()).toMatch(/\d/);
    expect(await page.getByTestId('dead-letters').textContent()).toContain('AUDIO_NOT_RECOGNISED');
    await pipeline.store.put(corpusKey('late', 'one.wav'), toneWav());
    await pipeline.until('the late file on the page', async () => (await number('utterances-live')) === paths.length + 2);
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
  }
});
