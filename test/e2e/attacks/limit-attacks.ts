import { written } from './wire.ts';

export interface LimitAttack {
  readonly name: string;
  readonly bytes: string;
}

/** Around what HAProxy (101), Envoy (100), and other parsers take, and far beyond. */
const COUNTS = [...range(70, 132, 1), 150, 198, 199, 200, 201, 256, 400, 999, 1_000, 1_001, 2_000, 2_001];
/** Bytes: around what nginx (8 and 16 KiB), forward-auth (32 KiB), HAProxy (48 and 64 KiB) and Envoy (60 KiB) take. */
const SIZES = [4, 8, 16, 24, 32, 40, 48, 56, 60, 64, 96]
  .flatMap((kilo) => [-300, -120, -60, -20, 0, 40].map((more) => kilo * 1024 + more))
  .concat(range(46_000, 50_000, 250));

/**
 * As many and as large headers as there is room for, and more. The last line decides something, so that what a program
 * drops in silence changes what is allowed.
 *
 * @param lines a credential
 */
export function limitAttacks(lines: readonly string[]): LimitAttack[] {
  const last = 'Mcp-Name: last';
  const get = (more: readonly string[], target = '/app/x') => written({ target, lines: [...lines, ...more, last] });
  const counted = COUNTS.flatMap((count) => [
    { name: `${count} headers`, bytes: get(Array.from({ length: count }, (_none, i) => `A-${i}: b`)) },
    { name: `${count} headers of one name`, bytes: get(Array.from({ length: count }, () => 'A: b')) },
    { name: `${count} Cookie`, bytes: get(Array.from({ length: count }, (_none, i) => `Cookie: a${i}=b`)) },
    { name: `${count} X-Forwarded`, bytes: get(Array.from({ length: count }, (_none, i) => `X-Forwarded-A${i}: b`)) },
  ]);
  const sized = SIZES.flatMap((size) => [
    { name: `a header of ${size}`, bytes: get([`A: ${'b'.repeat(size)}`]) },
    {
      name: `headers of ${size}`,
      bytes: get(Array.from({ length: 60 }, (_none, i) => `A-${i}: ${'b'.repeat(size / 60)}`)),
    },
    { name: `a cookie of ${size}`, bytes: get([`Cookie: a=${'b'.repeat(size)}`]) },
    { name: `a path of ${size}`, bytes: get([], `/app/${'x'.repeat(size)}`) },
    { name: `a query of ${size}`, bytes: get([], `/app/x?${'x'.repeat(size)}`) },
  ]);
  return [...counted, ...sized];
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_none, i) => from + i * step);
}
