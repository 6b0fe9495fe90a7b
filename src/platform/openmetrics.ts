import { Registry } from 'prom-client';

/** Metrics as text, in one of the two formats that Prometheus reads. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** What the primary of several workers asks for: it sums values, not texts. */
export const METRICS_AS_JSON = 'application/json';

/** @param accept what the reader takes: exemplars are in OpenMetrics only, which Prometheus asks for */
export async function expose(registry: Registry, accept: string | undefined): Promise<MetricsText> {
  if (accept === METRICS_AS_JSON)
    return { contentType: accept, text: JSON.stringify(await registry.getMetricsAsJSON()) };
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
    return this.#source.getMetricsAsArray().map((metric) => {
      const shadow = Object.create(metric) as typeof metric;
      const { get } = metric as unknown as { get(): Promise<object> };
      // Metrics that are a sum of several workers would answer with the name that they were given.
      return Object.assign(shadow, { get: async () => ({ ...(await get.call(metric)), name: shadow.name }) });
    });
  }
}
