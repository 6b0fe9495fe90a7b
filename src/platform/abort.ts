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

/** A signal of its own that others end, until it is released. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Nothing ends it any more, and nothing of it stays with the others. */
  release(): void;
}

/**
 * A signal that is aborted with the first of others, for its reason. `AbortSignal.any` of Node 20 loses time limits among them to the
 * garbage collector, so that what waits for one waits for ever, and what it makes stays with a source that lives long.
 *
 * @param timeout milliseconds after which it is aborted too, with the reason of `AbortSignal.timeout`
 */
export function linkSignals(sources: readonly AbortSignal[], timeout?: number): LinkedSignal {
  const linked = new AbortController();
  const late =
    timeout === undefined
      ? undefined
      : setTimeout(() => abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), timeout);
  const release = () => {
    clearTimeout(late);
    for (const source of sources) source.removeEventListener('abort', onAbort);
  };
  const abort = (reason: unknown) => {
    release();
    linked.abort(reason);
  };
  function onAbort(this: AbortSignal): void {
    abort(this.reason);
  }
  for (const source of sources) source.addEventListener('abort', onAbort);
  const ended = sources.find(({ aborted }) => aborted);
  if (ended !== undefined) abort(ended.reason);
  return { signal: linked.signal, release };
}

/** Runs something that ends with the first of other signals, or with its time. @param timeout milliseconds @throws what `run` throws */
export async function withLinkedSignal<T>(
  sources: readonly AbortSignal[],
  run: (signal: AbortSignal) => Promise<T>,
  timeout?: number,
): Promise<T> {
  const { signal, release } = linkSignals(sources, timeout);
  try {
    return await run(signal);
  } finally {
    release();
  }
}
