/** Milliseconds between attempts. */
export interface BackOff {
  /** After the first failure. */
  readonly first: number;
  /** However often it failed. */
  readonly most: number;
}

export const BACK_OFF: BackOff = { first: 1_000, most: 15 * 60_000 };

/**
 * Twice as long after each failure, and at random up to half of it less, so that many senders do not come back at once.
 *
 * @param failures so far, at least 1
 * @param random from 0 to 1
 * @returns milliseconds
 */
export function pauseAfter(failures: number, { first, most }: BackOff, random: number): number {
  const pause = Math.min(most, first * 2 ** (failures - 1));
  return pause * (1 - random / 2);
}

/** @returns milliseconds that the receiver asks for (RFC 9110 §10.2.3); undefined where it asks for none that can be read */
export function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
