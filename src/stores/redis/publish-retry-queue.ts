/** Milliseconds between two attempts. */
const AGAIN = 500;
/** Messages kept; the oldest goes first, because what it is about is forgotten soonest elsewhere. */
const MAX_KEPT = 10_000;

/**
 * Announcements that could not be sent. Whoever ended a session may find it gone when they try again, and would then have
 * nothing to announce: so what was not said is said as soon as it can be.
 */
export class PublishRetryQueue {
  readonly #say: (text: string) => Promise<unknown>;
  readonly #texts = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(say: (text: string) => Promise<unknown>) {
    this.#say = say;
  }

  add(text: string): void {
    this.#texts.delete(text);
    this.#texts.add(text);
    const [oldest] = this.#texts;
    if (this.#texts.size > MAX_KEPT && oldest !== undefined) this.#texts.delete(oldest);
    this.#later();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #later(): void {
    if (this.#closed || this.#timer !== undefined || this.#texts.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.#repeat().finally(() => {
        this.#timer = undefined;
        this.#later();
      });
    }, AGAIN);
    this.#timer.unref();
  }

  /** In their order, until one fails again. */
  async #repeat(): Promise<void> {
    try {
      for (const text of [...this.#texts]) {
        await this.#say(text);
        this.#texts.delete(text);
      }
    } catch {
      // Redis is still away, which its own log line says.
    }
  }
}
