import { Registry } from 'prom-client';

/** Metrics as text, in one of the two formats that Prometheus reads. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** @param accept what the reader takes: exemplars are in OpenMetrics only, which Prometheus asks for */
export async function expose(registry: Registry, accept: string | undefined): Promise<MetricsText> {
  const read = /\bapplication\/openmetrics-text\b/.test(accept ?? '') ? new OpenMetrics(registry) : registry;
  return { contentType: read.contentType, text: await read.metrics() };
}

/** The metrics of another registry. OpenMetrics renames counters while it writes them, so it is given shadows of them. */
class OpenMetrics extends Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE> {
  readonly #source: Registry;

  constructor(source: Registry) {
    super();
    this.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    this.#source = source;
  }

  override getMetricsAsArray() {
    return this.#source.getMetricsAsArray().map((metric) => Object.create(metric) as typeof metric);
  }
}
