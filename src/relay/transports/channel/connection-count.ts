/** How many connections each user has open, so that one of them cannot use up the relay. */
export class ConnectionCount {
  readonly #limit: number;
  readonly #open = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  hasRoom(owner: string): boolean {
    return (this.#open.get(owner) ?? 0) < this.#limit;
  }

  enter(owner: string): void {
    this.#open.set(owner, (this.#open.get(owner) ?? 0) + 1);
  }

  leave(owner: string): void {
    const left = (this.#open.get(owner) ?? 1) - 1;
    if (left > 0) this.#open.set(owner, left);
    else this.#open.delete(owner);
  }
}
