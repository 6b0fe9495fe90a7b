/**
 * What a process has opened so far. It closes all of it, the newest first, at its end or where a later part cannot be opened.
 */
export class ResourceStack {
  readonly #closing: Array<() => unknown> = [];

  /** @returns the part itself */
  add<T extends { close(): unknown }>(part: T): T {
    this.#closing.push(() => part.close());
    return part;
  }

  /** As `add`, for what is closed in a way of its own. */
  addClose(close: () => unknown): void {
    this.#closing.push(close);
  }

  /**
   * One that fails to close keeps no other one open. Each is closed once.
   *
   * @throws what the first of them threw
   */
  async close(): Promise<void> {
    let failure: { error: unknown } | undefined;
    for (let close = this.#closing.pop(); close !== undefined; close = this.#closing.pop()) {
      try {
        await close();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
