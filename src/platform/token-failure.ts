import { isRecord } from './is-record.ts';

/** By which clock a token was judged. */
export interface TokenClock {
  /** Unix time in milliseconds. */
  readonly now: number;
  /** How far clocks may differ, milliseconds. */
  readonly clockTolerance: number;
  /** How old the token may be, milliseconds. */
  readonly maxAge?: number;
  /** Where `clockTolerance` stands in the configuration; absent: who reads the text may not change it. */
  readonly key?: string;
}

/** A time of a token that failed: `exp was 312 s ago (2026-…, now 2026-…), tolerance 30 s; …`. @param time seconds (RFC 7519 §2) */
export function timeFailure(claim: string, time: number, { now, clockTolerance, maxAge, key }: TokenClock): string {
  const seconds = Math.round(Math.abs(now / 1_000 - time));
  const when = time * 1_000 > now ? `is ${seconds} s ahead` : `was ${seconds} s ago`;
  const oldest = maxAge === undefined || claim !== 'iat' ? '' : `, at most ${maxAge / 1_000} s`;
  const found = `${claim} ${when} (${iso(time * 1_000)}, now ${iso(now)}), tolerance ${clockTolerance / 1_000} s${oldest}`;
  if (key === undefined) return found;
  const isOld = time * 1_000 <= now;
  return `${found}; ${isOld ? 'if the token is new, ' : ''}set the clocks of both machines by NTP, or raise ${key}`;
}

/**
 * What jose and oauth4webapi found wrong with a token: its claim, and for a time the difference. Both put all claims of the
 * person into the error; nothing of them is in the text, which may be logged.
 *
 * @returns undefined where the error is not about a claim
 */
export function claimFailure(error: unknown, clock: TokenClock): string | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    const found = isRecord(one.cause) ? one.cause : {};
    const { claim } = found;
    if (typeof claim !== 'string' || !/^[\w-]{1,64}$/.test(claim)) continue;
    const claims = found.claims ?? found.payload;
    const time = isRecord(claims) ? claims[claim] : undefined;
    return typeof time === 'number' ? timeFailure(claim, time, clock) : one.message;
  }
  return undefined;
}

function iso(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString();
}
