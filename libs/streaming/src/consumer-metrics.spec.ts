import { expect, it } from 'vitest';
import { Metrics } from '#service/metrics.js';
import { consumerMetrics } from './consumer-metrics.js';

it('shows each code from the start, so that its first dead letter is a rise', async () => {
  const metrics = new Metrics('test');
  const { onBuried } = consumerMetrics(metrics);
  const shown = await metrics.registry.metrics();
  expect(shown).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 0');
  expect(shown, 'of what is only ever tried again there are none').not.toContain('STORAGE_UNAVAILABLE');
  onBuried({ code: 'UNKNOWN_REPEATED' } as Parameters<typeof onBuried>[0]);
  expect(await metrics.registry.metrics()).toContain('undertone_test_dead_letters_total{code="UNKNOWN_REPEATED"} 1');
});
