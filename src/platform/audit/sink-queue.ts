import type { AuditSink } from './audit-sink.ts';
import { type ChainLink, chained, FIRST_LINK, linkOf } from './hash-chain.ts';

export interface SinkQueueOptions {
  /** Lines with which it is full. */
  readonly limit: number;
  /** Lines after which more are dropped: what was let in before it was full still has a place where requests are refused. */
  readonly most: number;
  readonly chain: { readonly enabled: boolean; readonly key?: string | undefined };
  /** Lines that were not recorded, each time some were not. */
  readonly onDropped: (sink: AuditSink['name'], count: number) => void;
  /** Told once when a sink stops working, and once when it works again. */
  readonly onState: (sink: AuditSink['name'], error: unknown | undefined) => void;
  /** A line that says how many are missing before it. */
  readonly gap: (count: number) => string;
}

/** Lines that are written at once. */
const BATCH = 256;
/** Milliseconds after which a sink that failed is tried again. */
const RETRY = 1_000;

/** The lines that wait for one sink. Those that are written are in the order in which they came, and none is lost unseen. */
export class SinkQueue {
  readonly #sink: AuditSink;
  readonly #options: SinkQueueOptions;
  readonly #lines: string[] = [];
  #link: ChainLink;
  #missing = 0;
  #writing: Promise<void> | undefined;
  #failing = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(sink: AuditSink, options: SinkQueueOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#link = (sink.lastLine === undefined ? undefined : linkOf(sink.lastLine)) ?? FIRST_LINK;
  }

  get full(): boolean {
    return this.#lines.length >= this.#options.limit;
  }

  push(line: string): void {
    if (this.#lines.length >= this.#options.most) {
      this.#missing += 1;
      this.#options.onDropped(this.#sink.name, 1);
    } else this.#lines.push(line);
    if (this.#retry === undefined) this.#pump();
  }

  /** Writes what waits, for so many milliseconds at most. */
  async flush(grace: number): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#pump();
    await Promise.race([this.#emptied(), new Promise((resolve) => setTimeout(resolve, grace))]);
  }

  /** As `flush`, then closes the sink. */
  async close(grace: number): Promise<void> {
    await this.flush(grace);
    clearTimeout(this.#retry);
    if (this.#lines.length > 0) this.#options.onDropped(this.#sink.name, this.#lines.length);
    this.#lines.length = 0;
    await this.#sink.close().catch(() => undefined);
  }

  async #emptied(): Promise<void> {
    while (this.#writing !== undefined && !this.#failing) await this.#writing;
  }

  #pump(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      // What came while the last line was being written.
      if (this.#lines.length > 0 && this.#retry === undefined) this.#pump();
    });
  }

  async #drain(): Promise<void> {
    while (this.#lines.length > 0 || this.#missing > 0) {
      const missing = this.#missing;
      const taken = this.#lines.slice(0, BATCH);
      // What was dropped came after all that waits, so the line that says so follows them.
      const last = taken.length === this.#lines.length && missing > 0;
      const { lines, link } = this.#linked(last ? [...taken, this.#options.gap(missing)] : taken);
      try {
        await this.#sink.write(lines);
      } catch (error) {
        if (!this.#failing) this.#options.onState(this.#sink.name, error);
        this.#failing = true;
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          this.#pump();
        }, RETRY);
        this.#retry.unref();
        return;
      }
      if (this.#failing) this.#options.onState(this.#sink.name, undefined);
      this.#failing = false;
      this.#link = link;
      if (last) this.#missing -= missing;
      this.#lines.splice(0, taken.length);
    }
  }

  #linked(lines: readonly string[]): { lines: readonly string[]; link: ChainLink } {
    const { enabled, key } = this.#options.chain;
    let link = this.#link;
    if (!enabled) return { lines, link };
    const all = lines.map((line) => {
      const next = chained(line, link, key);
      link = next.link;
      return next.line;
    });
    return { lines: all, link };
  }
}
