import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

interface Bootstrap {
  layered_runtime?: object;
  static_resources: {
    listeners: Array<{
      filter_chains: Array<{ filters: Array<{ typed_config: Record<string, unknown> }> }>;
    }>;
    clusters: object[];
  };
}

/** Has the Envoy of a folder of `deploy/` trace every request, to a collector. */
export async function traceEnvoy(folder: string, collector: string): Promise<void> {
  const file = join(folder, 'envoy.yaml');
  const config = parse(await readFile(file, 'utf8')) as Bootstrap;
  const { hostname, port } = new URL(collector);
  const connections = config.static_resources.listeners[0]?.filter_chains[0]?.filters[0];
  if (connections === undefined) throw new Error('no connection manager');
  connections.typed_config.tracing = {
    random_sampling: { value: 100 },
    provider: {
      name: 'envoy.tracers.opentelemetry',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
        service_name: 'edge',
        http_service: { http_uri: { uri: `${collector}/v1/traces`, cluster: 'collector', timeout: '1s' } },
      },
    },
  };
  const socket = { address: hostname, port_value: Number(port) };
  config.static_resources.clusters.push({
    name: 'collector',
    type: 'STATIC',
    load_assignment: {
      cluster_name: 'collector',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: socket } } }] }],
    },
  });
  // At once, and not in batches.
  config.layered_runtime = {
    layers: [{ name: 'test', static_layer: { 'tracing.opentelemetry.min_flush_spans': 1 } }],
  };
  await writeFile(file, stringify(config));
}
