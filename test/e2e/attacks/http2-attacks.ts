import type { HeaderAttacks } from './header-attacks.ts';
import type { Fields } from './http2-client.ts';

export interface Http2Attack {
  readonly name: string;
  readonly fields: Fields;
  readonly trailers?: Fields;
}

/** What node:http2 lets a client say. Paths are the same as by HTTP/1.1; here are the fields that only HTTP/2 has. */
export function http2Attacks(host: string): Http2Attack[] {
  const forged = { 'x-authenticated-user': 'mallory' };
  const attacks: ReadonlyArray<readonly [name: string, fields: Fields]> = [
    ['a forged user', forged],
    ['a forged user twice', { 'x-authenticated-user': ['mallory', 'mallory'] }],
    ['by underscore', { x_authenticated_user: 'mallory' }],
    ['by dot', { 'x.authenticated.user': 'mallory' }],
    ['host beside :authority', { ':authority': host, host: 'open.example' }],
    ['host beside an open :authority', { ':authority': 'open.example', host }],
    ['an authority with a user', { ':authority': `open.example@${host}` }],
    ['an authority in upper case', { ':authority': 'OPEN.Example.' }],
    ['an authority with a path', { ':authority': 'open.example/..' }],
    ['an empty authority', { ':authority': '' }],
    ['another scheme', { ':scheme': 'https' }],
    ...['ftp', 'javascript', 'httpss'].map((scheme) => [`scheme ${scheme}`, { ':scheme': scheme }] as const),
    ...[' ', '\t'].flatMap((mark) => [
      [`an authority and ${JSON.stringify(mark)}`, { ':authority': `${host}${mark}` }] as const,
      [`${JSON.stringify(mark)} and an authority`, { ':authority': `${mark}${host}` }] as const,
      [`${JSON.stringify(mark)} in an authority`, { ':authority': `open.example${mark}${host}` }] as const,
    ]),
    ['a scheme with an address', { ':scheme': 'http://open.example/public/x?' }],
    ['cookie crumbs', { cookie: ['a=1', '__Host-postern=forged', 'b=2'] }],
    ['te', { te: 'trailers', ...forged }],
    ['forwarded', { 'x-forwarded-uri': '/public/x', 'x-forwarded-host': 'open.example', 'x-forwarded-method': 'GET' }],
    ['original', { 'x-original-uri': '/public/x', 'x-original-method': 'GET', 'x-envoy-original-path': '/public/x' }],
    ['a lower-case method', { ':method': 'get' }],
    ['TRACE', { ':method': 'TRACE' }],
    ['a method with a space', { ':method': 'GET /public/x HTTP/1.1' }],
    ['a path with a space', { ':path': '/public/x HTTP/1.1' }],
    ['a path with a line', { ':path': '/public/x%0d%0aX-Authenticated-User:mallory' }],
    ['an absolute path', { ':path': 'http://open.example/admin/x' }],
    ['a path without a slash', { ':path': 'admin/x' }],
    ['an asterisk', { ':path': '*', ':method': 'OPTIONS' }],
    ['dots', { ':path': '/public/../admin/x' }],
    ['encoded dots', { ':path': '/public/%2e%2e/admin/x' }],
    ['parameters', { ':path': '/public/..;/admin/x' }],
    ['a fragment', { ':path': '/public/x#/../admin' }],
    ['the proof', { 'x-postern-proxy-secret': 'guessed' }],
  ];
  return attacks.map(([name, fields]) => ({ name, fields }));
}

/** Trailers, and fields that HTTP/2 forbids (RFC 9113 §8.2.2), which node:http2 itself must refuse to send. */
export const REFUSED_BY_CLIENT: readonly Fields[] = [
  { connection: 'x-authenticated-user' },
  { 'transfer-encoding': 'chunked' },
  { upgrade: 'h2c' },
  { ':path': ['/public/x', '/admin/x'] },
];

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Header lines of HTTP/1.1 as fields; what cannot be said in HTTP/2 is left out. */
export function http2Of(attacks: HeaderAttacks): Http2Attack[] {
  return attacks.flatMap(([name, lines]) => {
    const fields: Record<string, string[]> = {};
    for (const line of lines) {
      const [, field = '', value = ''] = /^([^:]*):[ \t]*(.*)$/s.exec(line) ?? [];
      if (!TOKEN.test(field)) return [];
      const lower = field.toLowerCase();
      fields[lower] = [...(fields[lower] ?? []), value];
    }
    const bare = Object.entries(fields).map(([field, values]) => [field, values.length === 1 ? values[0] : values]);
    return [{ name, fields: Object.fromEntries(bare) as Fields }];
  });
}
