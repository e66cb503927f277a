import { expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Metrics } from '#service/metrics.js';
import { letterMetrics, retryMetrics } from './consumer-metrics.js';
import { noteRetry, retrying } from './retry.js';

it('shows each code from the start, so that its first dead letter is a rise', async () => {
  const metrics = new Metrics('test');
  const onBuried = letterMetrics(metrics);
  const shown = await metrics.registry.metrics();
  expect(shown).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 0');
  expect(shown, 'of what is only ever tried again there are none').not.toContain('STORAGE_UNAVAILABLE');
  onBuried({ code: 'UNKNOWN_REPEATED' } as Parameters<typeof onBuried>[0]);
  expect(await metrics.registry.metrics()).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 1');
});

it('counts what is tried again anywhere in the process, and in the one that works for it', async () => {
  const metrics = new Metrics('test');
  retryMetrics(metrics);
  let tries = 0;
  await retrying(() => (++tries < 3 ? Promise.reject(new PipelineError('STORAGE_UNAVAILABLE', 'away')) : Promise.resolve()));
  noteRetry();
  expect(await metrics.registry.metrics()).toContain('undertone_test_retries_total 3');
});
