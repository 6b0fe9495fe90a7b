import type { PubSub } from '../stores.ts';
import type { Topics } from '../topics.ts';

/** One process hears itself at once and misses nothing. */
export class MemoryPubSub implements PubSub {
  readonly complete = true;
  readonly #topics: Topics;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  async publish(topic: string, message: string): Promise<void> {
    this.#topics.deliver(topic, message);
  }

  subscribe(topic: string, listener: (message: string) => void): () => void {
    return this.#topics.subscribe(topic, listener);
  }

  onGap(listener: () => void): () => void {
    return this.#topics.onGap(listener);
  }
}
