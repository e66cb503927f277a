import { expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Metrics } from '#service/metrics.js';
import { letterMetrics, retryMetrics } from './consumer-metrics.js';
import { noteRetry, retrying } from './retry.js';

it('exports each code from the start, so that its first dead letter is an increase', async () => {
  const metrics = new Metrics('test');
  const onBuried = letterMetrics(metrics);
  const shown = await metrics.registry.metrics();
  expect(shown).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 0');
  expect(shown, 'codes that are only retried have no dead letters').not.toContain('STORAGE_UNAVAILABLE');
  onBuried({ code: 'UNKNOWN_REPEATED' } as Parameters<typeof onBuried>[0]);
  expect(await metrics.registry.metrics()).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 1');
});

it('counts retries anywhere in the process, and those of its child process', async () => {
  const metrics = new Metrics('test');
  retryMetrics(metrics);
  let tries = 0;
  await retrying(() => (++tries < 3 ? Promise.reject(new PipelineError('STORAGE_UNAVAILABLE', 'away')) : Promise.resolve()));
  noteRetry();
  expect(await metrics.registry.metrics()).toContain('undertone_test_retries_total 3');
});
