/**
 * Sends the spans of a service to an OpenTelemetry collector, by OTLP over HTTP in JSON, if OTEL_EXPORTER_OTLP_ENDPOINT is set.
 * Otherwise it sets up nothing (docs/tracing.md).
 *
 * Spans wait in a queue of bounded size, and no work waits for them. During an outage of the collector spans are lost, and the log
 * gets one line a minute.
 */
import { context, diag, DiagLogLevel, trace, type DiagLogger } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes, serviceInstanceIdDetector } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { Logger } from './logger.js';
import { codeVersion } from './package-root.js';
import { switchTracing } from './spans.js';
import { readTracingConfig, type TracingConfig } from './tracing-config.js';

/** Most spans that wait for the collector, about 16 MB. The spans of a shard, or of a page of the listing, come all at once. */
const mostWaiting = 16_384;
/** Interval of sending. A killed process loses at most the spans of one interval. */
const sendEveryMs = 1_000;
/** Time limit for sending the remaining spans at stop. */
const flushLimitMs = 1_500;
const complainEveryMs = 60_000;

let flush: (limitMs: number) => Promise<void> = () => Promise.resolve();

/** @throws PipelineError CONFIG_INVALID */
export function startTracing(stage: string, logger: Logger): void {
  const config = readTracingConfig();
  if (!config) return;
  const complain = complaints(logger);
  diag.setLogger(complain, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  setGlobalErrorHandler((error) => complain.error(typeof error === 'string' ? error : (error as Error).message));
  const exporter = new OTLPTraceExporter();
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': `undertone-${stage}`, 'service.version': codeVersion }))
    .merge(detectResources({ detectors: [envDetector, serviceInstanceIdDetector] }));
  const provider = new TracerProvider({
    sampler: samplerOf(config),
    resource,
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: mostWaiting, scheduledDelayMillis: sendEveryMs })],
  });
  registerTracing(provider);
  flush = async (timeoutMillis) => {
    await provider.forceFlush({ timeoutMillis });
    // The provider does not wait for batches that were on their way already.
    await exporter.forceFlush();
  };
  const { root, isParentBased } = config;
  const service = resource.attributes['service.name'];
  logger.info({ service, sampler: root.kind, ratio: root.ratio, isParentBased }, 'sending spans');
}

/** Makes this the provider of all spans of the process. */
export function registerTracing(provider: TracerProvider): void {
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  switchTracing(true);
}

/** Sends the waiting spans within a time limit. Never rejects. @returns true if all were sent */
export async function flushTraces(limitMs = flushLimitMs): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const sent = flush(limitMs).then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([sent, over]);
  } finally {
    clearTimeout(timer);
  }
}

function samplerOf({ root: { kind, ratio }, isParentBased }: TracingConfig): Sampler {
  const made = { always_on: new AlwaysOnSampler(), always_off: new AlwaysOffSampler(), traceidratio: new TraceIdRatioBasedSampler(ratio) };
  return isParentBased ? new ParentBasedSampler({ root: made[kind] }) : made[kind];
}

/** Logs failed batches once a minute, because each batch fails during an outage of the collector. */
function complaints(logger: Logger): DiagLogger {
  let saidAtMs = -Infinity;
  const say = (why: string): void => {
    if (performance.now() - saidAtMs < complainEveryMs) return;
    saidAtMs = performance.now();
    logger.warn(
      { why },
      'the collector does not accept spans, so they are lost. Check OTEL_EXPORTER_OTLP_ENDPOINT. Nothing else is affected',
    );
  };
  const ignore = (): void => undefined;
  return { error: say, warn: say, info: ignore, debug: ignore, verbose: ignore };
}
