import type { Refusal } from '../../refusal.ts';
import type { Hold } from './budgets.ts';

/** Counts what waits for the rest of a message, whenever it has grown or shrunk. @returns why it may not, where it is too much */
export type HoldBytes = (bytes: number) => Refusal | undefined;

/** @param pool whose bytes they are: the client's, or the server's */
export function heldBytes(hold: Pick<Hold, 'add' | 'reduce'>, pool: 'requestBytes' | 'keptBytes'): HoldBytes {
  let held = 0;
  return (bytes) => {
    const more = bytes - held;
    const refusal = more > 0 ? hold.add({ [pool]: more }) : undefined;
    if (more < 0) hold.reduce({ [pool]: -more });
    if (refusal === undefined) held = bytes;
    return refusal;
  };
}
