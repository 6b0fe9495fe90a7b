/** Environment names of OpenTelemetry and the keys they set as they are. Those of traces alone win, as they do there. */
export const OPEN_TELEMETRY_VARIABLES: Readonly<Record<string, string>> = {
  OTEL_EXPORTER_OTLP_ENDPOINT: 'tracing.endpoint',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'tracing.endpoint',
  OTEL_EXPORTER_OTLP_HEADERS: 'tracing.headers',
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'tracing.headers',
  OTEL_EXPORTER_OTLP_CERTIFICATE: 'tracing.caPath',
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: 'tracing.caPath',
  OTEL_SERVICE_NAME: 'tracing.serviceName',
  OTEL_RESOURCE_ATTRIBUTES: 'tracing.attributes',
};

/** Those whose values mean something else here. */
export const TRANSLATED_VARIABLES = [
  'OTEL_SDK_DISABLED',
  'OTEL_TRACES_EXPORTER',
  'OTEL_EXPORTER_OTLP_TIMEOUT',
  'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

export interface Translated {
  /** By path of the configuration. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Each with the name of its variable. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads the variables of OpenTelemetry that are no plain values
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
 */
export function openTelemetryValues(env: Environment): Translated {
  const values = new Map<string, unknown>();
  const problems: string[] = [];
  const warnings: string[] = [];
  if (/^true$/i.test(env.OTEL_SDK_DISABLED ?? '') || env.OTEL_TRACES_EXPORTER === 'none')
    values.set('tracing.enabled', false);
  const timeout = env.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT || env.OTEL_EXPORTER_OTLP_TIMEOUT;
  if (timeout) values.set('tracing.timeout', `${timeout}ms`);
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (protocol && protocol !== 'http/protobuf')
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} has no effect: traces are sent as http/protobuf`);
  sampler(env, values, problems);
  return { values, problems, warnings };
}

function sampler(env: Environment, values: Map<string, unknown>, problems: string[]): void {
  const name = env.OTEL_TRACES_SAMPLER;
  if (!name) return;
  const own = name.replace(/^parentbased_/, '');
  const share = { always_on: 1, always_off: 0, traceidratio: Number(env.OTEL_TRACES_SAMPLER_ARG || 1) }[own];
  if (share === undefined || Number.isNaN(share))
    return void problems.push(
      `OTEL_TRACES_SAMPLER (tracing.sample): must be always_on, always_off or traceidratio with a number in OTEL_TRACES_SAMPLER_ARG, each also with parentbased_ before it`,
    );
  values.set('tracing.sample', share);
  values.set('tracing.fromProxy', own === name ? 'trace' : 'sampling');
}
