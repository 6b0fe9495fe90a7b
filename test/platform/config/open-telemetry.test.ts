import assert from 'node:assert/strict';
import { loadConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

describe('OpenTelemetry’s environment variables', () => {
  const read = (env: Record<string, string>) => loadConfig('/dev/null', env);
  const tracing = (env: Record<string, string>) => read(env).config.tracing;

  it('set what they mean', () => {
    const found = tracing({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4318',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:4318/v1/traces',
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1500',
      OTEL_SERVICE_NAME: 'gate',
      OTEL_RESOURCE_ATTRIBUTES: 'team=mcp',
    });
    assert.equal(found.endpoint, 'http://traces:4318/v1/traces');
    assert.equal(found.headers, 'api-key=a%20b');
    assert.equal(found.timeout, 1500);
    assert.equal(found.serviceName, 'gate');
    assert.equal(found.attributes, 'team=mcp');
    assert.equal(found.enabled, true);
  });

  for (const [name, sample, fromProxy] of [
    ['always_on', 1, 'trace'],
    ['always_off', 0, 'trace'],
    ['traceidratio', 0.25, 'trace'],
    ['parentbased_always_on', 1, 'sampling'],
    ['parentbased_traceidratio', 0.25, 'sampling'],
  ] as const)
    it(`know the sampler ${name}`, () => {
      const found = tracing({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0.25' });
      assert.deepEqual([found.sample, found.fromProxy], [sample, fromProxy]);
    });

  it('switch traces off', () => {
    assert.equal(tracing({ OTEL_SDK_DISABLED: 'true' }).enabled, false);
    assert.equal(tracing({ OTEL_TRACES_EXPORTER: 'none' }).enabled, false);
  });

  it('give way to our own', () => {
    const found = tracing({ OTEL_TRACES_SAMPLER: 'always_off', POSTERN_TRACING_SAMPLE: '0.5', OTEL_SERVICE_NAME: 'a' });
    assert.equal(found.sample, 0.5);
  });

  it('that cannot be followed are said', () => {
    const { warnings } = read({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' });
    assert.ok(warnings.some((line) => line.includes('http/protobuf')));
    for (const env of [
      { OTEL_TRACES_SAMPLER: 'jaeger_remote' },
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' },
      { OTEL_EXPORTER_OTLP_HEADERS: 'no pairs' },
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' },
    ])
      assert.throws(() => read(env), ConfigurationError, JSON.stringify(env));
  });

  it('never show what the collector wants to see', () => {
    assert.throws(
      () => read({ OTEL_EXPORTER_OTLP_HEADERS: 'very-secret' }),
      (error: ConfigurationError) => !String(error.problems).includes('very-secret'),
    );
  });
});
