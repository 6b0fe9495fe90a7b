/** @returns resolves when the signal is aborted */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * A promise that the signal ends.
 *
 * @param begin not called where the signal is aborted already
 * @throws the signal's reason; what `reject` is given
 */
export async function untilAborted<T>(
  signal: AbortSignal,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  let onAbort = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else begin(resolve, reject);
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
