/** Reads OpenTelemetry's standard variables. The exporter itself reads headers, certificates and time-outs; the SDK reads the service's name. */
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

/** Only JSON is sent. A collector that takes protobuf takes JSON at the same address. */
const overHttp = z.enum(['http/json', 'http/protobuf'], {
  error: "only http/json is supported: unset it, and set the endpoint to the collector's HTTP address, usually port 4318",
});

export interface TracingConfig {
  /** The sampler of traces that begin in this service. */
  root: { kind: 'always_on' | 'always_off' | 'traceidratio'; ratio: number };
  /** True if a trace that began elsewhere keeps its sampling decision. */
  isParentBased: boolean;
}

/** @returns null if tracing is off: no endpoint is set, or it is switched off @throws PipelineError CONFIG_INVALID */
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
