import { untilAborted, withLinkedSignal } from '../../platform/abort.ts';
import { Unreached } from './member.ts';

/**
 * Gives one server its time, so that a slow one costs the others no more than that.
 *
 * @param limit milliseconds
 * @param outer ends it earlier, when the client takes its request back
 * @param ask must end when its signal does; what it answers later is nobody's any more
 * @throws Unreached with `timeout`, or what `ask` throws
 */
export function withinTime<T>(limit: number, outer: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const asked = async (signal: AbortSignal) => {
    try {
      return await untilAborted<T>(signal, (resolve, reject) => ask(signal).then(resolve, reject));
    } catch (error) {
      if (outer.aborted || !signal.aborted || error !== signal.reason) throw error;
      throw new Unreached('timeout', 'the MCP server did not answer in time');
    }
  };
  return withLinkedSignal([outer], asked, limit);
}
