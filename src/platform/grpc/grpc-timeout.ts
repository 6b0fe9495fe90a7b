/** Milliseconds of each unit of `grpc-timeout`. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Milliseconds, some 24 days: Node's timers know no more. */
const LONGEST = 0x7fffffff;

/**
 * How long a caller waits (PROTOCOL-HTTP2, “Timeout”): at most eight digits and a unit.
 *
 * @returns milliseconds, undefined where it cannot be read
 */
export function readTimeout(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return digits === undefined ? undefined : Math.min(LONGEST, Math.ceil(Number(digits) * (UNITS[unit] as number)));
}
