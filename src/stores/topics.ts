import type { Logger } from '../platform/log.ts';

/** Who listens to what in this process. A listener that throws harms neither the others nor the connection it was called from. */
export class Topics {
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #gapListeners = new Set<() => void>();

  constructor(log: Logger) {
    this.#log = log;
  }

  subscribe(topic: string, listener: (message: string) => void): () => void {
    // One wrapper a subscription, so that a listener which is given twice is called twice and ended one at a time.
    const own = (message: string) => listener(message);
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    };
  }

  onGap(listener: () => void): () => void {
    const own = () => listener();
    this.#gapListeners.add(own);
    return () => void this.#gapListeners.delete(own);
  }

  deliver(topic: string, message: string): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) this.#call(() => listener(message));
  }

  gap(): void {
    for (const listener of [...this.#gapListeners]) this.#call(listener);
  }

  clear(): void {
    this.#listeners.clear();
    this.#gapListeners.clear();
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#log.error({ error }, 'a listener of announcements failed');
    }
  }
}
