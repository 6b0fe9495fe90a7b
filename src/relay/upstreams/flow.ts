/** Whether a client takes more now. One that does not lets its server wait, as far as a server can be made to. */
export class Flow {
  readonly #readers = new Set<{ resume(): void }>();
  #paused = false;

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const reader of this.#readers) reader.resume();
  }

  /** What reads from a server, and stops where the flow is paused. */
  add(reader: { resume(): void }): void {
    this.#readers.add(reader);
  }

  delete(reader: { resume(): void }): void {
    this.#readers.delete(reader);
  }
}
