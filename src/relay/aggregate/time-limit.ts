import { Unreached } from './member.ts';

/**
 * Gives one server its time, so that a slow one costs the others no more than that.
 *
 * @param limit milliseconds
 * @param outer ends it earlier, when the client takes its request back
 * @param ask must end when its signal does; what it answers later is nobody's any more
 * @throws Unreached with `timeout`, or what `ask` throws
 */
export async function withinTime<T>(
  limit: number,
  outer: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = AbortSignal.timeout(limit);
  const signal = AbortSignal.any([outer, late]);
  let onAbort: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    onAbort = () =>
      reject(late.aborted ? new Unreached('timeout', 'the MCP server did not answer in time') : outer.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([ask(signal), ended]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
