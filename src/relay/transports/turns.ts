/** Bytes from which the reading of a message takes a millisecond of the event loop or more. */
const LARGE = 128 * 1024;

const waiting: Array<() => void> = [];

/**
 * Holds large messages apart: each turn of the event loop reads one of them, whoever sent it and whichever way it came. Many that
 * arrive together would otherwise be read in a single turn, and until its end nobody is heard: a server that closes an idle
 * connection is then noticed too late, after the next request was sent on it.
 *
 * @param bytes of the message
 * @returns when it may be read, in the order of asking; undefined where it is small and may be read at once
 */
export function turnFor(bytes: number): Promise<void> | undefined {
  if (bytes < LARGE) return undefined;
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(next);
  });
}

function next(): void {
  waiting[0]?.();
  waiting.shift();
  if (waiting.length > 0) setImmediate(next);
}
