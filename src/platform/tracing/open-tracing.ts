import type { TracingConfig } from '../config/schema.ts';
import type { TracingDependencies } from './open-telemetry.ts';
import type { Tracing } from './span.ts';

/**
 * Traces as the configuration wants them. OpenTelemetry is loaded only where it does.
 *
 * @returns undefined where traces are off
 * @throws ConfigurationError where a file cannot be used
 */
export async function openTracing(config: TracingConfig, deps: TracingDependencies): Promise<Tracing | undefined> {
  const { enabled, endpoint } = config;
  if (!enabled || endpoint === undefined) return undefined;
  const { OpenTelemetryTracing } = await import('./open-telemetry.ts');
  return new OpenTelemetryTracing({ ...config, endpoint }, deps);
}
