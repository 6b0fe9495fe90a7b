import { AggregatorRegistry, type MetricObject, type Registry } from 'prom-client';

/** What only grows: the values of a worker that is gone still happened. A gauge of it would tell what is no more. */
const GROWING: ReadonlySet<unknown> = new Set(['counter', 'histogram']);

type Summed = MetricObject & {
  readonly values: ReadonlyArray<{ value: number; readonly labels: object; readonly metricName?: string }>;
};

/**
 * The metrics of all workers as those of one process. No counter falls where a worker ends or does not answer: Prometheus would take that
 * for a reset, and count as new all that the others have counted. What a worker counted after it was read last ends with it.
 */
export class SummedMetrics {
  readonly #workers: () => readonly string[];
  readonly #ask: (worker: string) => Promise<readonly MetricObject[] | undefined>;
  /** What is known of each worker. */
  readonly #last = new Map<string, MetricObject[]>();
  /** The sum of those that are gone. */
  #ended: MetricObject[] = [];
  /** By series, what was told last. */
  readonly #shown = new Map<string, number>();
  #reading: Promise<Registry> | undefined;

  /**
   * @param workers a name of each that serves; the one that replaces it has another
   * @param ask undefined where it does not answer
   */
  constructor(workers: () => readonly string[], ask: (worker: string) => Promise<readonly MetricObject[] | undefined>) {
    this.#workers = workers;
    this.#ask = ask;
  }

  /** Whoever asks while another does gets the same answer: an older one must not come after a newer one. */
  read(): Promise<Registry> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<Registry> {
    const workers = this.#workers();
    await this.#addEnded(workers);
    const answers = await Promise.all(
      workers.map(async (worker) => {
        const answer = await this.#ask(worker);
        if (answer !== undefined) this.#last.set(worker, growing(answer));
        return answer ?? this.#last.get(worker) ?? [];
      }),
    );
    const sum: Registry = AggregatorRegistry.aggregate([...answers.map((answer) => [...answer]), this.#ended]);
    for (const metric of sum.getMetricsAsArray() as unknown as readonly Summed[])
      if (GROWING.has(metric.type)) this.#hold(metric);
    return sum;
  }

  /** Fractions that are added in another order differ in their last digit. */
  #hold({ name, values }: Summed): void {
    for (const one of values) {
      const series = JSON.stringify([one.metricName ?? name, Object.entries(one.labels).sort()]);
      one.value = Math.max(one.value, this.#shown.get(series) ?? one.value);
      this.#shown.set(series, one.value);
    }
  }

  async #addEnded(workers: readonly string[]): Promise<void> {
    for (const [worker, last] of this.#last) {
      if (workers.includes(worker)) continue;
      this.#last.delete(worker);
      this.#ended = await AggregatorRegistry.aggregate([this.#ended, last]).getMetricsAsJSON();
    }
  }
}

function growing(metrics: readonly MetricObject[]): MetricObject[] {
  return metrics.filter(({ type }) => GROWING.has(type));
}
