const DURATION_UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `90s`, `15m`, `8h` … as milliseconds; undefined where it is no duration. */
export function parseDuration(text: string): number | undefined {
  return parseWithUnit(text, /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/, DURATION_UNITS);
}

/** `512B`, `64KiB`, `1MiB` … as bytes; undefined where it is no size. */
export function parseSize(text: string): number | undefined {
  return parseWithUnit(text, /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/, SIZE_UNITS);
}

function parseWithUnit(text: string, pattern: RegExp, units: Record<string, number>): number | undefined {
  const match = pattern.exec(text);
  const unit = match?.[2] === undefined ? undefined : units[match[2]];
  return unit === undefined ? undefined : Math.round(Number(match?.[1]) * unit);
}
