/**
 * Watches an event stream for whether the bytes so far end between two events, the only place where a comment line may be
 * put in without tearing an event apart. Lines end in LF, CR or CRLF (HTML §9.2.5).
 */
export class EventBoundary {
  #tail = '\n\n';

  push(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - 4))).slice(-4);
  }

  get between(): boolean {
    return /(?:\n\n|\r\r|\r\n\r\n|\n\r\n|\r\n\r|\r\n\n)$/.test(this.#tail);
  }
}
