/**
 * Reads OpenTelemetry's standard variables: they say if and how a service traces. The exporter itself reads how it sends spans
 * (headers, certificates, time-outs), and the SDK reads the service's name.
 */
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

export const tracingVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url()
    .optional()
    .describe('URL of an OpenTelemetry collector, such as `http://127.0.0.1:4318`. A service sends no traces without it.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.url().optional().describe('Full URL for traces alone. It wins over `OTEL_EXPORTER_OTLP_ENDPOINT`.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: overHttp
    .default('http/json')
    .describe('Services send JSON over HTTP. They accept `http/protobuf` here and send JSON all the same, which collectors take too.'),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: overHttp.default('http/json').describe('The same for traces alone.'),
  OTEL_TRACES_SAMPLER: z
    .enum(samplers)
    .default('parentbased_always_on')
    .describe(`Decides which traces are kept: ${samplers.map((name) => `\`${name}\``).join(', ')}.`),
  OTEL_TRACES_SAMPLER_ARG: field.share(1).describe('Share of traces that a `traceidratio` sampler keeps, from 0 to 1.'),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).default('otlp').describe('`none` switches traces off.'),
  OTEL_SDK_DISABLED: field.text('false').describe('`true` switches traces off.'),
};

/** @returns null where nothing is traced: no endpoint is set, or tracing is switched off. @throws PipelineError CONFIG_INVALID */
export function readTracingConfig(environment?: Environment): TracingConfig | null {
  const read = readConfig(tracingVariables, environment);
  const hasEndpoint = Boolean(read.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? read.OTEL_EXPORTER_OTLP_ENDPOINT);
  const isOff = read.OTEL_SDK_DISABLED.toLowerCase() === 'true' || read.OTEL_TRACES_EXPORTER === 'none';
  if (!hasEndpoint || isOff) return null;
  const kind = read.OTEL_TRACES_SAMPLER.replace('parentbased_', '') as TracingConfig['root']['kind'];
  return {
    root: { kind, ratio: read.OTEL_TRACES_SAMPLER_ARG },
    isParentBased: kind !== read.OTEL_TRACES_SAMPLER,
  };
}
