import { parseJson } from '../protocol/json.ts';
import { ambiguousAnswerKey } from '../protocol/message-keys.ts';
import { nestsTooDeep } from '../protocol/nesting.ts';

/**
 * Reads what a server said: one message, or a batch of them.
 *
 * @param strict refuses what two readers of JSON could take for different things where that decides what a client sees
 * @returns undefined where it cannot be read
 */
export function readMessages(text: string, strict = true): unknown {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  return strict && (nestsTooDeep(text) || ambiguousAnswerKey(text) !== undefined) ? undefined : value;
}
