/** The spans of a round in the traces of waiting utterances. */
import { context, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { switchTracing } from '#service/spans.js';
import { registerTracing } from '#service/tracing.js';
import { RoundView } from '#rounds/round-view.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';
import { WaitingTraces } from '#index/waiting-traces.js';
import { RoundTrace } from './round-trace.js';

let exporter: InMemorySpanExporter;
let waiting: WaitingTraces;

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  registerTracing(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  waiting = new WaitingTraces();
});
afterEach(() => {
  switchTracing(false);
  trace.disable();
  context.disable();
});

const named = (count: number) => Array.from({ length: count }, (_, i) => ({ utteranceId: `u${i}`, version: 'v' }));
const traceIdOf = (i: number): string => (i + 1).toString(16).padStart(32, '0');
const note = (count: number): void =>
  waiting.note(
    named(count),
    named(count).map((_, i) => `00-${traceIdOf(i)}-b7ad6b7169203331-01`),
  );
const begin = (count: number): RoundTrace =>
  new RoundTrace(waiting, new RoundView({ utterances: named(count) as ViewUtterance[] } as TrainingView), 'run');
const started = (learnt: string[], heldOut: string[] = []) => ({
  type: 'roundStarted' as const,
  viewDigest: '',
  first: { learnt, heldOut },
  round: 2,
  step: 40,
  steps: 40,
  tiles: { labelled: 3, unlabelled: 0 },
  freshTiles: { labelled: 3, unlabelled: 0 },
  speakers: 1,
  checkedOn: 0,
});
const told = (): string[] =>
  exporter
    .getFinishedSpans()
    .filter(({ name }) => name !== 'round')
    .map((span) => `${span.name} ${parseInt(span.spanContext().traceId, 16) - 1}`);

test('gives each new utterance one span in its own trace, learn or hold out, and none to utterances learnt before', () => {
  note(4);
  const round = begin(3); // u3 came after the round's view
  expect(round.utteranceIds).toEqual(['u0', 'u1', 'u2']);
  round.started(started(['u0'], ['u2']));
  const spans = round.saved(80);
  round.end();
  expect(told()).toEqual(['learn 0', 'hold out 2']);
  expect(spans.map(({ traceId }) => traceId)).toEqual([traceIdOf(0), traceIdOf(2)]);
  const own = exporter.getFinishedSpans().at(-1);
  expect(own?.name).toBe('round');
  for (const span of exporter.getFinishedSpans().slice(0, -1)) {
    expect(span.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    expect(span.links.map((link) => link.context.spanId)).toEqual([own?.spanContext().spanId]);
  }
  expect(begin(4).utteranceIds).toEqual(['u3']);
});

test('gives all utterances their spans, even more than predictions can name', async () => {
  note(1_500);
  const round = begin(1_500);
  round.started(started(round.utteranceIds));
  expect(round.saved(80)).toHaveLength(128);
  await vi.waitFor(() => expect(told()).toHaveLength(1_500), { timeout: 20_000 });
  expect(new Set(told()).size).toBe(1_500);
  expect(waiting.size).toBe(0);
});

test('leaves the utterances of a refused round to the next round', () => {
  note(1);
  const refused = begin(1);
  refused.started(started(['u0']));
  refused.end(new PipelineError('MODEL_DIVERGED', 'no number'));
  expect(told()).toEqual([]);
  expect(exporter.getFinishedSpans()[0]?.attributes['error.type']).toBe('MODEL_DIVERGED');
  expect(begin(1).utteranceIds).toEqual(['u0']);
});
