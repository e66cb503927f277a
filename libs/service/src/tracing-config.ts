/** Whether and how a service traces, by OpenTelemetry's standard variables. How spans are sent (headers, certificates, time-outs) the exporter reads itself, and the service's name the SDK. */
import { z } from 'zod';
import { field, readConfig, type Environment } from './read-config.js';

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** A collector takes JSON where it takes protobuf. */
const overHttp = z.enum(['http/json', 'http/protobuf'], {
  error: "only http/json is spoken: unset it, and name the collector's HTTP address, usually port 4318",
});

export interface TracingConfig {
  /** Who decides about a trace that begins in this service. */
  root: { kind: 'always_on' | 'always_off' | 'traceidratio'; ratio: number };
  /** Whether a trace that began elsewhere keeps what was decided there. */
  isParentBased: boolean;
}

/** @returns null where nothing is traced: no endpoint is set, or tracing is switched off. @throws PipelineError CONFIG_INVALID */
export function readTracingConfig(environment?: Environment): TracingConfig | null {
  const read = readConfig(
    {
      OTEL_SDK_DISABLED: field.text('false'),
      OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).default('otlp'),
      OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.url().optional(),
      OTEL_EXPORTER_OTLP_PROTOCOL: overHttp.default('http/json'),
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: overHttp.default('http/json'),
      OTEL_TRACES_SAMPLER: z.enum(samplers).default('parentbased_always_on'),
      OTEL_TRACES_SAMPLER_ARG: field.share(1),
    },
    environment,
  );
  const hasEndpoint = Boolean(read.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? read.OTEL_EXPORTER_OTLP_ENDPOINT);
  const isOff = read.OTEL_SDK_DISABLED.toLowerCase() === 'true' || read.OTEL_TRACES_EXPORTER === 'none';
  if (!hasEndpoint || isOff) return null;
  const kind = read.OTEL_TRACES_SAMPLER.replace('parentbased_', '') as TracingConfig['root']['kind'];
  return {
    root: { kind, ratio: read.OTEL_TRACES_SAMPLER_ARG },
    isParentBased: kind !== read.OTEL_TRACES_SAMPLER,
  };
}
