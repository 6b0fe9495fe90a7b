import { OVERRIDES } from '../../../deploy/source/edge-headers.ts';
import { IDENTITY_HEADER_NAMES } from '../../../src/identity/headers.ts';
import { PRESET_HEADERS } from '../../../src/identity/presets.ts';
import { FORGER, OPEN_HOST } from './oracle.ts';

/** Raw header lines by the name of the attack. */
export type HeaderAttacks = ReadonlyArray<readonly [name: string, lines: readonly string[]]>;

export interface Loot {
  /** Assertion that forward-auth issued to alice for another request. */
  readonly captured: string;
  /** Well made, by a key of the attacker. */
  readonly selfMade: string;
  readonly token: string;
}

const USER = 'X-Authenticated-User';
const one = (line: string): readonly [string, readonly string[]] => [JSON.stringify(line), [line]];

export const FORGED_NAMES: HeaderAttacks = [
  ...IDENTITY_HEADER_NAMES.map((name) => one(`${name}: ${FORGER}`)),
  ...[USER.toLowerCase(), USER.toUpperCase(), 'x-AUTHENTICATED-user'].map((name) => one(`${name}: ${FORGER}`)),
  ...['X-Authenticated-Role', 'X-Authenticated-User-', 'X-Authenticated--User', 'X--Authenticated-User'].map((name) =>
    one(`${name}: ${FORGER}`),
  ),
  ...['X-Authenticated+User', 'X+Authenticated-User', 'XAuthenticatedUser'].map((name) => one(`${name}: ${FORGER}`)),
  ...['X_Authenticated_User', 'X.Authenticated.User', 'X-Authenticated_User', 'X_Authenticated-Groups'].map((name) =>
    one(`${name}: ${FORGER}`),
  ),
  ...['!', '#', '$', '%', '&', "'", '*', '+', '^', '`', '|', '~'].map((mark) =>
    one(`X${mark}Authenticated${mark}User: ${FORGER}`),
  ),
  one(`${USER} : ${FORGER}`),
  one(`${USER}\t: ${FORGER}`),
  one(`${USER}\x0b: ${FORGER}`),
  one(`${USER}\0: ${FORGER}`),
  one(`${USER}\xa0: ${FORGER}`),
  one(`X-Authenticated-U\xc5\xbfer: ${FORGER}`),
  one(`X-Authenticated-\xdcser: ${FORGER}`),
  one(`X Authenticated User: ${FORGER}`),
  one(`: ${FORGER}`),
  ['an indented line', ['A: b', ` ${USER}: ${FORGER}`]],
  ['a line after a tab', ['A: b', `\t${USER}: ${FORGER}`]],
  ['an indented first line', [` ${USER}: ${FORGER}`]],
  ['a folded value', [`${USER}: a`, ` ${FORGER}`]],
  ['after a bare CR', [`A: b\r${USER}: ${FORGER}`]],
  ['after a bare LF', [`A: b\n${USER}: ${FORGER}`]],
  ['after LF CR', [`A: b\n\r${USER}: ${FORGER}`]],
  ['twice', [`${USER}: ${FORGER}`, `${USER}: ${FORGER}2`]],
  ['empty and forged', [`${USER}:`, `${USER}: ${FORGER}`]],
  ['forged and empty', [`${USER}: ${FORGER}`, `${USER}:`]],
  ['two spellings', [`${USER}: ${FORGER}`, `X_Authenticated_User: ${FORGER}`]],
  ['twelve times', Array.from({ length: 12 }, () => `${USER}: ${FORGER}`)],
  ['every name', IDENTITY_HEADER_NAMES.map((name) => `${name}: ${FORGER}`)],
];

const EMITTED = Object.values(PRESET_HEADERS).flatMap((names) => names.map(([name]) => name));
/** Characters that a name may hold, and that programs which make a variable of it take for the same one. */
const SEPARATORS = ['.', '_', '~', '!', '+', "'"];

export const FOREIGN_NAMES: HeaderAttacks = [
  ...EMITTED,
  ...SEPARATORS.flatMap((mark) => EMITTED.map((name) => name.replaceAll('-', mark))),
  ...[
    'X-WEBAUTH-ROLE',
    'X-Webauth-Orgs',
    'Remote-Role',
    'Remote-Foo',
    'X-Auth-Request-Foo',
    'X-Forwarded-Access-Token',
  ],
  'X-Auth-Request-Access-Token',
  'Remote_User',
  'X-Remote-User',
  'X-User-Id',
  'X-Pomerium-Jwt-Assertion',
  'Cf-Access-Jwt-Assertion',
  'X-Forwarded-Client-Cert',
  'X-Client-Cert',
].map((name) => one(`${name}: ${FORGER}`));

/** What could be one operation to the check and another one to the server. */
export const MCP_HEADERS: HeaderAttacks = [
  ...['d\xe4nger', 'd\xc3\xa4nger', 'd\xe4', '\xff', '=?base64?ZA==?=', 'a,b', 'a\tb', '"a"', '', ' a ', 'a\xa0'].map(
    (name) => one(`Mcp-Name: ${name}`),
  ),
  ...['Mcp-Method', 'Mcp-Session-Id', 'Mcp-Param-X', 'MCP-Protocol-Version'].map((name) => one(`${name}: d\xe4nger`)),
  ['Mcp-Name twice', ['Mcp-Name: a', 'Mcp-Name: b']],
  ['Mcp-Name twice, one as Latin-1', ['Mcp-Name: a', 'mcp-name: \xe4']],
  ['Mcp-Name and its alias', ['Mcp-Name: a', 'Mcp_Name: b', 'Mcp.Name: c']],
  ...['.', '!', '~', '+', "'"].flatMap((mark) => [
    one(`Mcp${mark}Name: a`),
    [`Mcp-Name and its alias by ${mark}`, ['Mcp-Name: a', `Mcp${mark}Name: b`]] as const,
    one(`Mcp-Session${mark}Id: a`),
    one(`MCP${mark}Protocol${mark}Version: 2025-06-18`),
  ]),
  ['Mcp-Name, hop by hop', ['Connection: Mcp-Name', 'Mcp-Name: a']],
  ['Mcp-Name, folded', ['Mcp-Name: a', ' b']],
  ['two Cookie', ['Cookie: a=1', 'Cookie: b=2']],
  ['two Cookie, one with a comma', ['Cookie: a=1,b=2', 'Cookie: c=3']],
  ['a Cookie as Latin-1', ['Cookie: a=\xe4']],
  ['Cookie, hop by hop', ['Connection: Cookie', 'Cookie: a=1']],
  ['two Authorization', ['Authorization: Basic YTpi']],
].map(([name, lines]) => [
  name as string,
  [...(lines as string[]), 'MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call'],
]);

export const HOP_BY_HOP: HeaderAttacks = [
  ...[
    USER,
    USER.toLowerCase(),
    'close, X-Authenticated-User',
    'Keep-Alive, X-Authenticated-Assertion',
    'keep-alive,x-authenticated-assertion,x-authenticated-user',
    'X_Authenticated_User',
    'X.Authenticated.User',
    '"X-Authenticated-User"',
    `${IDENTITY_HEADER_NAMES.join(', ')}`,
    'X-Postern-Proxy-Secret',
    'Authorization',
    'X-Forwarded-Uri, X-Forwarded-Method',
    'X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto',
    'X-Original-URI, X-Original-Method, X-Original-Host',
    'Host',
    'Content-Length',
    'Transfer-Encoding',
  ].map((value) => one(`Connection: ${value}`)),
  ['two Connection lines', ['Connection: keep-alive', `Connection: ${USER}`]],
  ['Connection after a tab', [`Connection: \tkeep-alive,\t${USER}`]],
  ['and the header itself', [`Connection: ${USER}`, `${USER}: ${FORGER}`]],
  ['Proxy-Connection', [`Proxy-Connection: ${USER}`, `${USER}: ${FORGER}`]],
  ['TE: trailers', ['TE: trailers', 'Connection: TE']],
  ['announced as a trailer', [`Trailer: ${USER}`, `${USER}: ${FORGER}`]],
];

const described = (uri: string, host: string): string[] => [
  ...[`X-Forwarded-Method: GET`, `X-Forwarded-Uri: ${uri}`, `X-Forwarded-Host: ${host}`, 'X-Forwarded-Proto: https'],
  ...['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Prefix: /public', 'X-Forwarded-Port: 443', 'X-Real-Ip: 10.0.0.1'],
];
const original = (uri: string, host: string): string[] => [
  ...['X-Original-Method: GET', `X-Original-URI: ${uri}`, `X-Original-Host: ${host}`, 'X-Original-Proto: https'],
  ...['X-Original-For: 10.0.0.1', `X-Original-Url: ${uri}`, `X-Rewrite-Url: ${uri}`, `X-Original-Path: ${uri}`],
];
const envoy = (uri: string): string[] => [
  ...[`X-Envoy-Original-Path: ${uri}`, 'X-Envoy-Original-Method: GET', 'X-Envoy-External-Address: 127.0.0.1'],
  ...['X-Envoy-Internal: true', 'X-Envoy-Original-Dst-Host: 127.0.0.1:1', `X-Envoy-Original-Host: ${OPEN_HOST}`],
  ...['X-Envoy-Decorator-Operation: x', 'X-Envoy-Retry-On: 5xx', 'X-Envoy-Upstream-Rq-Timeout-Ms: 1'],
];
const [URI, HOST] = ['/public/x', OPEN_HOST];

/** What could make forward-auth decide another request than the one that goes on. */
export const FORWARDED: HeaderAttacks = [
  ...[...described(URI, HOST), ...original(URI, HOST), ...envoy(URI)].map(one),
  ['the whole X-Forwarded family', described(URI, HOST)],
  ['the whole X-Forwarded family twice', [...described(URI, HOST), ...described(URI, HOST)]],
  ['the whole X-Original family', original(URI, HOST)],
  ['the whole X-Envoy family', envoy(URI)],
  ['all families', [...described(URI, HOST), ...original(URI, HOST), ...envoy(URI)]],
  ['families by underscore', [...described(URI, HOST), ...original(URI, HOST)].map((l) => l.replace(/-(?=.*:)/g, '_'))],
  ['the open host only', [`X-Forwarded-Host: ${HOST}`, `X-Original-Host: ${HOST}`, `X-Host: ${HOST}`]],
  ...OVERRIDES.map((name) => one(`${name}: ${FORGER}`)),
  ['Forwarded', [`Forwarded: for=10.0.0.1;host=${HOST};proto=https`]],
  ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'].map((name) => one(`${name}: OPTIONS`)),
  ['internal redirects', ['X-Accel-Redirect: /public/x', 'X-Sendfile: /etc/passwd', 'X-Accel-Buffering: no']],
  ['answers of nginx', ['X-Postern-Status: 200', 'X-Postern-Cookie: replace', 'X-Postern-Body: x']],
];

export function credentials({ captured, selfMade, token }: Loot): HeaderAttacks {
  const [, payload] = captured.split('.');
  const none = `${Buffer.from('{"alg":"none","typ":"postern-identity+jwt"}').toString('base64url')}.${payload}.`;
  const ASSERTION = 'X-Authenticated-Assertion';
  return [
    ['an assertion of another request', [`${ASSERTION}: ${captured}`, `${USER}: alice`]],
    ['an assertion of another request, alone', [`${ASSERTION}: ${captured}`]],
    ['an assertion by another key', [`${ASSERTION}: ${selfMade}`, `${USER}: ${FORGER}`]],
    ['an assertion by no key', [`${ASSERTION}: ${none}`, `${USER}: alice`]],
    ['an assertion by another spelling', [`X_Authenticated_Assertion: ${captured}`, 'X.Authenticated.User: alice']],
    ['an assertion twice', [`${ASSERTION}: ${captured}`, `${ASSERTION}: ${selfMade}`]],
    ['an assertion as a token', [`Authorization: Bearer ${captured}`]],
    ['a self-made assertion as a token', [`Authorization: Bearer ${selfMade}`]],
    ['another token beside', [`Authorization: Bearer ${token}x`]],
    ['a token by another spelling', [`Authorization_: Bearer ${token}`, `Proxy-Authorization: Bearer ${token}`]],
    ['a token in a list', [`Authorization: Basic YTpi, Bearer ${token}`]],
    ['the wrong secret', ['X-Postern-Proxy-Secret: guessed', `${USER}: ${FORGER}`]],
    ['the secret twice', ['X-Postern-Proxy-Secret: a', 'X-Postern-Proxy-Secret: b']],
    ['the secret by another spelling', ['X_Postern_Proxy_Secret: guessed', 'X.Postern.Proxy.Secret: guessed']],
    ['an empty secret', ['X-Postern-Proxy-Secret:']],
    ['a cookie of a session', ['Cookie: __Host-postern=forged', 'Cookie: postern=forged; __Host-postern=']],
  ];
}
