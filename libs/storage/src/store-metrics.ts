/** Counts and times the calls of a service to the object store: `undertone_<stage>_s3_call_duration_seconds{operation,outcome}`. */
import type { Histogram, Metrics } from '#service/metrics.js';
import type { StoreCall } from './object-store.js';

/** Upper bounds in seconds, from a store in the next rack to an upload of a large shard over a slow line. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
/** One histogram for all stores of a process. */
const durationsOf = new WeakMap<Metrics, Histogram<'operation' | 'outcome'>>();

/** @returns a function for the store to call after each call; the histogram's count is the number of calls */
export function storeMetrics(metrics: Metrics): (call: StoreCall) => void {
  const durations =
    durationsOf.get(metrics) ??
    metrics.histogram('s3_call_duration_seconds', 'Time of calls to the object store, by operation and outcome', buckets, [
      'operation',
      'outcome',
    ]);
  durationsOf.set(metrics, durations);
  return ({ operation, outcome, seconds }) => durations.observe({ operation, outcome }, seconds);
}
