import type { Budget, Hold } from '../../gate/budgets/budgets.ts';
import { Flow } from '../../upstreams/flow.ts';
import type { ChannelSink } from './channel-sink.ts';

interface Waiting {
  readonly text: string;
  readonly hold: Hold;
}

/** Keeps what comes while the client does not read, from servers that cannot be made to wait. */
export class SinkQueue {
  readonly flow = new Flow();
  readonly #sink: Pick<ChannelSink, 'send'>;
  readonly #budget: Budget;
  readonly #limit: number;
  /** In the order in which it came. */
  readonly #waiting = new Set<Waiting>();
  #size = 0;

  /** @param limit characters that may wait */
  constructor(sink: Pick<ChannelSink, 'send'>, budget: Budget, limit: number) {
    this.#sink = sink;
    this.#budget = budget;
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** @returns false if there is no room for it */
  send(text: string): boolean {
    if (!this.flow.paused) {
      if (!this.#sink.send(text)) this.flow.pause();
      return true;
    }
    const hold =
      this.#size + text.length > this.#limit && !this.isEmpty
        ? undefined
        : this.#budget.take({ keptBytes: text.length });
    if (hold === undefined || 'status' in hold) return false;
    this.#waiting.add({ text, hold });
    this.#size += text.length;
    return true;
  }

  /** The client reads again. */
  resume(): void {
    this.flow.resume();
    for (const one of this.#waiting) {
      if (this.flow.paused) return;
      this.#forget(one);
      this.send(one.text);
    }
  }

  /** Nothing more will come of the server: what is still to be sent waits at the sink. */
  flush(): void {
    for (const { text } of this.#waiting) this.#sink.send(text);
    this.clear();
    this.flow.resume();
  }

  clear(): void {
    for (const one of this.#waiting) this.#forget(one);
  }

  #forget(one: Waiting): void {
    this.#waiting.delete(one);
    this.#size -= one.text.length;
    one.hold.release();
  }
}
