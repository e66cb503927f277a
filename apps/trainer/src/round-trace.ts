/**
 * Makes the trace of a round. It also adds a span `learn` or `hold out` to the trace of each utterance that the round is the first
 * to have, from the start of the round until its model is saved.
 *
 * Delivery: the spans of utterances are made when the model is saved. If another process continues the round, that process makes
 * them. A refused round leaves them to the next round.
 */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { epochMs } from '#service/epoch.js';
import { beginSpan, failSpan, linksTo, mostLinks, pastSpan, underSpan, type SpanContext } from '#service/spans.js';
import { flushTraces } from '#service/tracing.js';
import { spanOf } from '#streaming/trace-headers.js';
import type { RoundView } from '#rounds/round-view.js';
import type { WaitingTraces } from '#index/waiting-traces.js';
import type { RoundEvent } from './compute-client.js';

type Started = Extract<RoundEvent, { type: 'roundStarted' }>;
type Finished = Extract<RoundEvent, { type: 'roundFinished' }>;

/** Number of spans made before a flush to the collector. It is below the limit of waiting spans. */
const spansAtOnce = 1_000;

export class RoundTrace {
  private readonly span = beginSpan('round', { root: true });
  private readonly startedAtMs = epochMs();
  private readonly traceparents: ReadonlyMap<string, string>;
  private first: Started['first'] = { learnt: [], heldOut: [] };

  constructor(
    private readonly waiting: WaitingTraces,
    view: RoundView,
    private readonly runId: string,
  ) {
    this.traceparents = waiting.of(view);
  }

  /** Utterances of the round whose traces wait for a round. */
  get utteranceIds(): string[] {
    return [...this.traceparents.keys()];
  }

  started({ round, step, steps, tiles, freshTiles, first }: Started): void {
    this.first = first;
    this.span.setAttributes({
      'undertone.run.id': this.runId,
      'undertone.round': round,
      'undertone.round.first_step': step,
      'undertone.round.steps': steps,
      'undertone.round.tiles': tiles.labelled + tiles.unlabelled,
      'undertone.round.fresh_tiles': freshTiles.labelled + freshTiles.unlabelled,
    });
    this.span.addLinks(linksTo(this.firstSpans().map(({ span }) => span)));
  }

  /** Call it when the model is saved. @returns spans of the first utterances; their traces continue with the predictions */
  saved(step: number): SpanContext[] {
    const all = this.firstSpans();
    for (const id of this.traceparents.keys()) this.waiting.drop(id);
    const told = all.slice(0, mostLinks).map((each) => this.tell(each, step));
    void this.tellInTime(all.slice(mostLinks), step);
    return told;
  }

  finished({ ended, bestStep, tilesPerSec }: Finished): void {
    this.span.setAttributes({ 'undertone.round.ended': ended, 'undertone.round.best_step': bestStep });
    this.span.setAttribute('undertone.round.tiles_per_second', tilesPerSec);
  }

  end(error?: unknown): void {
    if (error !== undefined) failSpan(this.span, error);
    this.span.end();
  }

  /** Runs work whose published records belong to the round's trace. */
  within<Result>(work: () => Result): Result {
    return underSpan(this.span, work);
  }

  private firstSpans(): { name: string; utteranceId: string; span: SpanContext }[] {
    const spansOf = (name: string, ids: readonly string[]) =>
      ids.flatMap((utteranceId) => {
        const span = spanOf(this.traceparents.get(utteranceId) ?? '');
        return span ? [{ name, utteranceId, span }] : [];
      });
    return [...spansOf('learn', this.first.learnt), ...spansOf('hold out', this.first.heldOut)];
  }

  private tell({ name, utteranceId, span }: ReturnType<RoundTrace['firstSpans']>[number], step: number): SpanContext {
    return pastSpan(name, {
      startedAtMs: this.startedAtMs,
      attributes: { 'undertone.utterance.id': utteranceId, 'undertone.run.id': this.runId, 'undertone.step': step },
      of: this.span.spanContext(),
      parent: trace.setSpanContext(ROOT_CONTEXT, span),
    });
  }

  /** Makes spans no faster than the collector takes them. */
  private async tellInTime(all: ReturnType<RoundTrace['firstSpans']>, step: number): Promise<void> {
    for (let at = 0; at < all.length; at += spansAtOnce) {
      for (const each of all.slice(at, at + spansAtOnce)) this.tell(each, step);
      if (!(await flushTraces())) return;
    }
  }
}
