import { expect, test } from 'vitest';
import { readTracingConfig } from './tracing-config.js';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

test('tracing is off without an endpoint, and when it is switched off', () => {
  expect(readTracingConfig({})).toBeNull();
  expect(readTracingConfig({ OTEL_TRACES_SAMPLER: 'always_on', OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBeNull();
  expect(readTracingConfig({ ...endpoint, OTEL_SDK_DISABLED: 'TRUE' })).toBeNull();
  expect(readTracingConfig({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' })).toBeNull();
  expect(readTracingConfig({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' })).not.toBeNull();
});

test('samples everything by default', () => {
  expect(readTracingConfig(endpoint)).toEqual({ root: { kind: 'always_on', ratio: 1 }, isParentBased: true });
  expect(readTracingConfig({ ...endpoint, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' })).toEqual({
    root: { kind: 'traceidratio', ratio: 0.01 },
    isParentBased: true,
  });
  expect(readTracingConfig({ ...endpoint, OTEL_TRACES_SAMPLER: 'always_off' })).toMatchObject({ isParentBased: false });
});

test('names a variable with an impossible value', () => {
  const wrong = (settings: Record<string, string>) => () => readTracingConfig({ ...endpoint, ...settings });
  expect(wrong({ OTEL_TRACES_SAMPLER: 'sometimes' })).toThrow('OTEL_TRACES_SAMPLER');
  expect(wrong({ OTEL_TRACES_SAMPLER_ARG: '2' })).toThrow('OTEL_TRACES_SAMPLER_ARG');
  expect(wrong({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toThrow('port 4318');
  expect(wrong({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' })).toThrow('OTEL_EXPORTER_OTLP_ENDPOINT');
});
