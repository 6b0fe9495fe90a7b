import fc from 'fast-check';
import { IDENTITY_HEADER_NAMES } from '../../../src/identity/headers.ts';
import { FORGER } from './oracle.ts';

export interface Generated {
  readonly target: string;
  readonly lines: readonly string[];
}

/** An identity header whose name has other separators, case, or characters in it. */
function mutatedName(): fc.Arbitrary<Generated> {
  const separator = fc.constantFrom('-', '_', '.', '', '--', ' ', '\t', '~', '+', '\xa0', '\x00', '-\x7f');
  const tail = fc.constantFrom('', '', '', ' ', '\t', '_', '-', '\x0b', '\xad');
  const name = fc
    .tuple(
      fc.constantFrom(...IDENTITY_HEADER_NAMES, 'X-Postern-Proxy-Secret'),
      separator,
      separator,
      tail,
      fc.boolean(),
    )
    .map(([own, first, second, end, upper]) => {
      const changed = own.replace('-', first).replace('-', second) + end;
      return upper ? changed.toUpperCase() : changed;
    });
  const value = fc.constantFrom(FORGER, `${FORGER}, alice`, `"${FORGER}"`, `\t${FORGER}`, `${FORGER}\xff`, '');
  return fc
    .tuple(fc.constantFrom('/app/x', '/public/x'), fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 3 }))
    .map(([target, pairs]) => ({ target, lines: pairs.map(([n, v]) => `${n}: ${v}`) }));
}

function mutatedPath(): fc.Arbitrary<Generated> {
  const piece = fc.constantFrom(
    ...['/', '//', '/.', '/..', '..', '%2e', '%2f', '%5c', '\\', ';', '..;', '%252e', '%00', '%c0%ae', '#', '?', '%'],
    ...['admin', 'public', 'app', 'x', '/admin', '/public', '/app', '%61dmin', 'ADMIN', '_postern', '/_postern/', ','],
  );
  return fc
    .tuple(fc.constantFrom('/admin/', '/public/', '/app/', '/'), fc.array(piece, { minLength: 1, maxLength: 7 }))
    .map(([start, pieces]) => ({ target: start + pieces.join(''), lines: [] }));
}

function forwardedMix(): fc.Arbitrary<Generated> {
  const family = fc.constantFrom('X-Forwarded-', 'X-Original-', 'X-Envoy-Original-', 'X_Forwarded_', 'x-forwarded-');
  const part = fc.constantFrom(
    'Uri',
    'URI',
    'Method',
    'Host',
    'Proto',
    'For',
    'Path',
    'Url',
    'Port',
    'Prefix',
    'Server',
  );
  const value = fc.constantFrom(
    '/public/x',
    'GET',
    'open.example',
    'https',
    '127.0.0.1',
    '/admin/x',
    'POST',
    '',
    '1, 2',
  );
  return fc
    .tuple(
      fc.constantFrom('/app/x', '/admin/x', '/public/x'),
      fc.array(fc.tuple(family, part, value), { minLength: 1, maxLength: 6 }),
    )
    .map(([target, all]) => ({ target, lines: all.map(([f, p, v]) => `${f}${p}: ${v}`) }));
}

/** The same ones for the same seed. */
export function generated(seed: number, count: number): Generated[] {
  return fc.sample(fc.oneof(mutatedName(), mutatedPath(), forwardedMix()), { seed, numRuns: count });
}
