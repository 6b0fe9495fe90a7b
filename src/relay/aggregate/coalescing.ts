/**
 * Lets notifications of the same meaning through once: the first waits a moment for the others, so that ten servers which
 * come back at once make a client list its tools once.
 */
export class Coalescing {
  readonly #delay: number;
  readonly #send: (method: string) => void;
  readonly #waiting = new Map<string, NodeJS.Timeout>();

  /** @param delay milliseconds */
  constructor(delay: number, send: (method: string) => void) {
    this.#delay = delay;
    this.#send = send;
  }

  announce(method: string): void {
    if (this.#waiting.has(method)) return;
    this.#waiting.set(
      method,
      setTimeout(() => {
        this.#waiting.delete(method);
        this.#send(method);
      }, this.#delay),
    );
  }

  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }
}
