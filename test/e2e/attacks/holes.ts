import type { DeployedProxy } from '../../support/deployment.ts';
import type { Edit } from './gauntlet.ts';
import { FORGER } from './oracle.ts';
import type { Said } from './stub-authorizer.ts';
import type { Seen } from './witness.ts';
import { valuesOf } from './witness.ts';

/** What is sent, and what shows that nothing at the proxy stopped it. */
export interface Probe {
  readonly method?: 'GET' | 'POST';
  readonly target?: string;
  readonly lines: readonly string[];
  readonly withToken?: boolean;
  /** In forward-auth's place; for Envoy over gRPC nothing is there. */
  readonly authorizer?: Said;
  /** Look at forward-auth's log as well. */
  readonly logged?: boolean;
  /** Milliseconds. */
  readonly patience?: number;
  readonly passed: (result: Result) => boolean;
}

export interface Result {
  /** Undefined: no answer in the time that a test has. */
  readonly status: number | undefined;
  readonly text: string;
  /** What reached the upstream. */
  readonly seen: readonly Seen[];
  /** What a stub was asked. */
  /** What forward-auth logged. */
  readonly log: string;
  readonly asked: readonly { url?: string | undefined; rawHeaders: readonly string[] }[];
}

/**
 * What still holds.
 *
 * - a number: the relay refuses the very bytes that reached it, with this status
 * - `assertion`: the relay lets it pass as who the signature names, and hands nothing forged on
 * - `forward-auth`: it refuses, and nothing reaches the upstream
 * - `nothing`: only forward-auth's own good behaviour, or nothing at all
 */
export type Still = number | 'assertion' | 'forward-auth' | 'nothing';

export interface Hole {
  readonly proxy: DeployedProxy;
  /** As it stands in the file, shortened. */
  readonly line: string;
  readonly edits: readonly Edit[];
  /** With the line, where that would take too long as it stands. */
  readonly quicker?: readonly Edit[];
  readonly hole: string;
  readonly still: Still;
  readonly stops: string;
  /** Nothing that the attacks of all classes would notice. */
  readonly unnoticed?: true;
  readonly probe: Probe;
}

const has = (name: string) => (result: Result) =>
  result.seen.some(({ rawHeaders }) => valuesOf(rawHeaders, name).some((value) => value.includes(FORGER)));
const lacks = (name: string) => (result: Result) =>
  result.seen.some(({ rawHeaders }) => valuesOf(rawHeaders, name).every((value) => value === ''));
const reached = (result: Result) => result.seen.length > 0;
const forged = (name: string): Probe => ({ withToken: true, lines: [`${name}: ${FORGER}`], passed: has(name) });
const ambiguous = (target: string): Probe => ({
  method: 'GET',
  target,
  lines: [],
  passed: ({ text }) => text.includes('ambiguous_target'),
});
const describedAs = (uri: string): Probe => ({
  lines: [...['X-Forwarded-', 'X-Original-'].flatMap((family) => [`${family}Uri: ${uri}`])],
  passed: reached,
});
const secret: Probe = {
  withToken: true,
  lines: [`X-Postern-Proxy-Secret: ${FORGER}`],
  passed: (result) => has('X-Postern-Proxy-Secret')(result) || lacks('X-Postern-Proxy-Secret')(result),
};
const hopByHop: Probe = {
  withToken: true,
  lines: ['Connection: X-Authenticated-User'],
  passed: lacks('X-Authenticated-User'),
};
const failing = (authorizer: Said): Probe => ({ lines: [], authorizer, passed: reached });

const CLIENT = '203.0.113.9';
const clientAddress: Probe = {
  lines: ['X-Forwarded-For', 'X-Original-For', 'X-Envoy-External-Address'].map((name) => `${name}: ${CLIENT}`),
  logged: true,
  passed: ({ log }) => log.includes(CLIENT),
};
const silence: Probe = { ...failing('nothing'), patience: 1_500, passed: ({ status }) => status === undefined };

const BY_ASSERTION = 'relay: the signature speaks, and such a header goes no further';
const BY_USER = 'relay 401: the assertion names another user';
const BY_BINDING = 'relay 401: the assertion is for another request';
const BY_SECRET = 'relay 401: no proof of the proxy';
const BY_ALIAS = 'relay 400: a header imitates one of identity';
const BY_ABSENCE = 'relay 401: no assertion';
const askedWith = (name: string, lines: readonly string[] = []): Probe => ({
  ...failing(403),
  lines,
  passed: ({ asked }) => asked.some(({ rawHeaders }) => valuesOf(rawHeaders, name).length > 0),
});
const UPGRADE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

const BY_FAMILY = 'relay: an allow-list of headers, in which this is not';
const BY_NONE = 'nothing: rate limits and logs go by that address';
const BY_TARGET = 'forward-auth 400: the target can be read in two ways';

const edit = (file: string, from: string | RegExp, to = ''): Edit => ({ file, from, to });
const D = 'dynamic.yaml';
const T = 'traefik.yaml';
const C = 'Caddyfile';
const N = 'nginx.conf';
const E = 'envoy.yaml';

const TRAEFIK: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'authResponseHeadersRegex',
    edits: [edit(D, /\n +authResponseHeadersRegex: .*/)],
    hole: 'a forged identity goes on, and the real one does not',
    still: 401,
    stops: BY_ABSENCE,
    probe: forged('X-Authenticated-User'),
  },
  {
    line: 'authResponseHeadersRegex, names instead of the family',
    edits: [edit(D, /authResponseHeadersRegex: .*/, 'authResponseHeadersRegex: "^X-Authenticated-(User|Assertion)$"')],
    hole: 'a forged group goes on beside the real user',
    still: 'assertion',
    stops: BY_ASSERTION,
    probe: forged('X-Authenticated-Groups'),
  },
  {
    line: 'aliasHeadersStrategy: reject',
    edits: [edit(T, /\n +aliasHeadersStrategy: reject/)],
    hole: '`X_Authenticated_User` goes on',
    still: 400,
    stops: BY_ALIAS,
    probe: forged('X_Authenticated_User'),
  },
  {
    line: 'sanitizePath: true',
    edits: [edit(T, 'sanitizePath: true', 'sanitizePath: false')],
    hole: '`/public/../admin` is asked about as it is',
    still: 'forward-auth',
    stops: BY_TARGET,
    probe: ambiguous('/public/../admin/x'),
  },
  ...(
    [
      ['Slash', '%2f'],
      ['BackSlash', '%5c'],
      ['NullCharacter', '%00'],
      ['Semicolon', '%3b'],
      ['Percent', '%25'],
      ['QuestionMark', '%3f'],
      ['Hash', '%23'],
    ] as const
  ).map(([name, encoded]) => ({
    line: `allowEncoded${name}: false`,
    edits: [edit(T, `allowEncoded${name}: false`, `allowEncoded${name}: true`)],
    hole: `\`/public/..${encoded}admin\` is asked about as it is`,
    still: 'forward-auth' as const,
    stops: BY_TARGET,
    probe: ambiguous(`/public/..${encoded}admin/x`),
  })),
  {
    line: 'authResponseHeaders: [Cookie]',
    edits: [edit(D, /\n +authResponseHeaders: \[Cookie\]/)],
    hole: 'the cookie of a session goes on to a server',
    still: 'nothing',
    stops: BY_FAMILY,
    probe: { lines: [`Cookie: __Host-postern=${FORGER}`], authorizer: 200, passed: has('Cookie') },
  },
  {
    line: 'forwardBody: false',
    edits: [edit(D, 'forwardBody: false', 'forwardBody: true')],
    hole: 'bodies are kept in memory and sent to the check, and streams break',
    still: 'nothing',
    stops: 'forward-auth reads no body',
    probe: askedWith('content-length'),
  },
  {
    line: 'forwardedHeaders.insecure: false, trustForwardHeader: false',
    edits: [
      edit(T, 'insecure: false', 'insecure: true'),
      edit(D, 'trustForwardHeader: false', 'trustForwardHeader: true'),
    ],
    hole: 'a client’s `X-Forwarded-Uri` is judged instead of its path',
    still: 401,
    stops: BY_BINDING,
    probe: describedAs('/public/x'),
  },
  {
    line: 'middlewares: postern-proof',
    edits: [edit(D, '[postern-check, postern-proof]', '[postern-check]')],
    hole: 'no proof, or the client’s',
    still: 401,
    stops: BY_SECRET,
    probe: secret,
  },
  {
    line: 'middlewares: postern-check',
    edits: [edit(D, '[postern-check, postern-proof]', '[postern-proof]')],
    hole: 'nobody is asked',
    still: 401,
    stops: BY_ABSENCE,
    probe: { lines: [`X-Authenticated-User: ${FORGER}`], passed: has('X-Authenticated-User') },
  },
  {
    line: 'authResponseHeadersRegex, other products’ families',
    edits: [edit(D, /authResponseHeadersRegex: .*/, 'authResponseHeadersRegex: "^X-Authenticated-"')],
    hole: 'a forged `Remote-User` goes on to an application that believes it',
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('Remote-User'),
  },
];

const CADDY: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'request_header -X-Authenticated-*',
    edits: [edit(C, /\n\t+request_header -X-Authenticated-\*/)],
    hole: 'a header of the family that the answer leaves empty, or does not know, goes on',
    still: 'assertion',
    stops: BY_ASSERTION,
    probe: forged('X-Authenticated-Role'),
  },
  {
    line: 'import copy X-Authenticated-User',
    edits: [edit(C, /\n\timport copy X-Authenticated-User/)],
    hole: 'the user does not go on',
    still: 401,
    stops: BY_USER,
    probe: { withToken: true, lines: [], passed: lacks('X-Authenticated-User') },
  },
  {
    line: 'respond @hop_by_hop 400',
    edits: [edit(C, /\n\t+respond @hop_by_hop 400/)],
    hole: '`Connection: X-Authenticated-User` removes the user',
    still: 401,
    stops: BY_USER,
    probe: hopByHop,
  },
  {
    line: 'route',
    edits: [edit(C, /\n\troute \{/, '\n\thandle {')],
    hole: 'Caddy sorts the lines, and `Connection` is looked at too late',
    still: 401,
    stops: BY_USER,
    probe: hopByHop,
  },
  {
    line: 'header_up X-Forwarded-Uri, trusted_proxies',
    edits: [
      edit(C, /\n\t+header_up X-Forwarded-Uri .*/),
      edit(C, /\n\t\t# SECURITY: nobody in front of Caddy/, '\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\t# nobody'),
    ],
    hole: 'a client’s `X-Forwarded-Uri` is judged instead of its path',
    still: 401,
    stops: BY_BINDING,
    probe: describedAs('/public/x'),
  },
  {
    line: 'header_up X-Postern-Proxy-Secret',
    edits: [edit(C, /\n\t+header_up X-Postern-Proxy-Secret .*/), edit(C, /\n\t+request_header -X-Postern-\*/)],
    hole: 'no proof, or the client’s',
    still: 401,
    stops: BY_SECRET,
    probe: secret,
  },
  {
    line: '@allow status 200',
    edits: [edit(C, '@allow status 200', '@allow status 2xx')],
    hole: 'an answer such as 204 allows',
    still: 401,
    stops: BY_ABSENCE,
    probe: failing(204),
  },
  {
    line: 'rewrite /verify/caddy?',
    edits: [edit(C, 'rewrite /verify/caddy?', 'rewrite /verify/caddy')],
    hole: 'the client’s query is in the address of the check',
    still: 'nothing',
    stops: 'forward-auth does not look at that address',
    probe: {
      ...failing(403),
      method: 'GET',
      target: '/app/x?forged=1',
      passed: ({ asked }) => asked.some(({ url }) => url?.includes('forged') === true),
    },
  },
  {
    line: 'header_up -Upgrade, -Connection',
    edits: [edit(C, /\n\t+header_up -Upgrade/), edit(C, /\n\t+header_up -Connection/)],
    hole: 'the check itself is asked to upgrade: a 101 would be a tunnel',
    still: 'nothing',
    stops: 'forward-auth never answers 101',
    probe: { ...askedWith('upgrade', UPGRADE), method: 'GET', target: '/app/x' },
  },
  {
    line: 'request_header -Remote-*',
    edits: [edit(C, /\n\t+request_header -Remote-\*/)],
    hole: 'a forged `Remote-User` goes on to an application that believes it',
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('Remote-User'),
  },
  {
    line: 'response_header_timeout 5s',
    edits: [edit(C, /\n\t+response_header_timeout .*/)],
    quicker: [edit(C, 'response_header_timeout 5s', 'response_header_timeout 300ms')],
    hole: 'where forward-auth hangs, requests wait for ever',
    still: 'nothing',
    stops: 'nothing: they do not pass, but they pile up',
    probe: silence,
  },
];

const NGINX: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'proxy_set_header X-Authenticated-User',
    edits: [edit(N, /\n +proxy_set_header X-Authenticated-User .*/)],
    hole: 'a forged user goes on',
    still: 401,
    stops: BY_USER,
    probe: forged('X-Authenticated-User'),
  },
  {
    line: 'proxy_set_header X-Authenticated-Groups',
    edits: [edit(N, /\n +proxy_set_header X-Authenticated-Groups .*/)],
    hole: 'a forged group goes on beside the real user',
    still: 'assertion',
    stops: BY_ASSERTION,
    probe: forged('X-Authenticated-Groups'),
  },
  {
    line: 'proxy_set_header X-Authenticated-Assertion',
    edits: [edit(N, /\n +proxy_set_header X-Authenticated-Assertion .*/)],
    hole: 'a forged assertion goes on',
    still: 401,
    stops: 'relay 401: the assertion is not valid',
    probe: forged('X-Authenticated-Assertion'),
  },
  {
    line: 'underscores_in_headers off',
    edits: [edit(N, 'underscores_in_headers off', 'underscores_in_headers on')],
    hole: '`X_Authenticated_User` goes on',
    still: 400,
    stops: BY_ALIAS,
    probe: forged('X_Authenticated_User'),
  },
  {
    line: 'ignore_invalid_headers on',
    edits: [edit(N, 'ignore_invalid_headers on', 'ignore_invalid_headers off')],
    hole: '`X.Authenticated.User` goes on',
    still: 400,
    stops: BY_ALIAS,
    probe: forged('X.Authenticated.User'),
  },
  {
    line: 'proxy_set_header X-Original-URI',
    edits: [edit(N, /\n +proxy_set_header X-Original-URI .*/)],
    hole: 'a client’s `X-Original-URI` is judged instead of its path',
    still: 401,
    stops: BY_BINDING,
    probe: describedAs('/public/x'),
  },
  {
    line: 'proxy_pass http://relay, without a path',
    edits: [edit(N, 'proxy_pass http://relay;', 'proxy_pass http://relay/;')],
    hole: 'the relay sees the path decoded, forward-auth does not',
    still: 401,
    stops: BY_BINDING,
    probe: {
      withToken: true,
      target: '/servers/echo/%6dcp',
      lines: [],
      passed: ({ seen }) => seen.some(({ url }) => url === '/servers/echo/mcp'),
    },
  },
  {
    line: 'include proof.conf',
    edits: [edit(N, /\n +include proof\.conf;/)],
    hole: 'no proof, or the client’s',
    still: 401,
    stops: BY_SECRET,
    probe: secret,
  },
  {
    line: 'auth_request /_postern_check',
    edits: [edit(N, /\n +auth_request \/_postern_check;/)],
    hole: 'nobody is asked',
    still: 401,
    stops: BY_ABSENCE,
    probe: { lines: [], passed: reached },
  },
  {
    line: 'internal',
    edits: [edit(N, /\n +internal;/)],
    hole: 'clients can ask the check themselves',
    still: 'forward-auth',
    stops: 'forward-auth 403: no rule for `/_postern_check`',
    probe: { method: 'GET', target: '/_postern_check', lines: [], passed: ({ text }) => text.includes('no_rule') },
  },
  {
    line: 'include emitted.conf',
    edits: [edit(N, /\n +include emitted\.conf;/)],
    hole: 'a forged `Remote-User` goes on to an application that believes it',
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('Remote-User'),
  },
  {
    line: 'proxy_set_header X-Original-For',
    edits: [edit(N, /\n +proxy_set_header X-Original-For .*/)],
    hole: 'the client chooses its address',
    still: 'nothing',
    stops: BY_NONE,
    probe: clientAddress,
  },
  {
    line: 'proxy_read_timeout 5s',
    edits: [edit(N, /\n +proxy_read_timeout 5s;/)],
    quicker: [edit(N, 'proxy_read_timeout 5s', 'proxy_read_timeout 300ms')],
    hole: 'where forward-auth hangs, requests wait for a minute',
    still: 'nothing',
    stops: 'nothing: they do not pass, but they pile up',
    probe: silence,
  },
  {
    line: 'proxy_set_header Content-Length "", proxy_pass_request_body off',
    edits: [edit(N, /\n +proxy_set_header Content-Length "";/)],
    hole: 'the check announces a body that never comes',
    still: 'nothing',
    stops: 'forward-auth waits for no body',
    probe: askedWith('content-length'),
  },
];

const ENVOY_BOTH: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'header_mutation: remove_on_match x.authenticated.',
    edits: [edit(E, /\n +- remove_on_match: \{ key_matcher: \{ safe_regex: .*/)],
    hole: 'a header of the family that the answer does not know goes on',
    still: 'assertion',
    stops: BY_ASSERTION,
    probe: forged('X-Authenticated-Role'),
  },
  {
    line: 'normalize_path: true',
    edits: [edit(E, 'normalize_path: true', 'normalize_path: false')],
    hole: '`/public/../admin` is asked about as it is',
    still: 'forward-auth',
    stops: BY_TARGET,
    probe: ambiguous('/public/../admin/x'),
  },
  {
    line: 'merge_slashes: true',
    edits: [edit(E, 'merge_slashes: true', 'merge_slashes: false')],
    hole: '`//admin` is asked about as it is',
    still: 'forward-auth',
    stops: BY_TARGET,
    probe: ambiguous('//admin/x'),
  },
  {
    line: 'path_with_escaped_slashes_action: REJECT_REQUEST',
    edits: [
      edit(E, 'path_with_escaped_slashes_action: REJECT_REQUEST', 'path_with_escaped_slashes_action: KEEP_UNCHANGED'),
    ],
    hole: '`/public/..%2fadmin` is asked about as it is',
    still: 'forward-auth',
    stops: BY_TARGET,
    probe: ambiguous('/public/..%2fadmin/x'),
  },
  {
    line: 'failure_mode_allow: false',
    edits: [edit(E, 'failure_mode_allow: false', 'failure_mode_allow: true')],
    hole: 'without forward-auth everybody is let through',
    still: 401,
    stops: BY_ABSENCE,
    probe: failing('reset'),
  },
  {
    line: 'request_headers_to_add x-postern-proxy-secret, remove x-postern-proxy-secret',
    edits: [
      edit(E, /\n +- remove: x-postern-proxy-secret/),
      edit(E, 'append_action: OVERWRITE_IF_EXISTS_OR_ADD', 'append_action: ADD_IF_ABSENT'),
    ],
    hole: 'the client’s proof instead of Envoy’s',
    still: 401,
    stops: BY_SECRET,
    probe: secret,
  },
  {
    line: 'remove: x-forwarded-host',
    edits: [edit(E, /\n +- remove: x-forwarded-host/)],
    hole: 'the relay may compare the assertion with a host of the client’s choice',
    still: 'assertion',
    stops: 'relay: Host or this must be the signed one; an assertion is issued for Host',
    probe: forged('X-Forwarded-Host'),
  },
  {
    line: 'headers_with_underscores_action: REJECT_REQUEST',
    edits: [edit(E, 'headers_with_underscores_action: REJECT_REQUEST', 'headers_with_underscores_action: ALLOW')],
    hole: 'requests with `X_Authenticated_User` are no longer refused',
    still: 'assertion',
    stops: 'header_mutation removes it as well; relay 400 otherwise',
    probe: { withToken: true, lines: [`X_Authenticated_User: ${FORGER}`], passed: reached },
  },
];

const ENVOY: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'allowed_upstream_headers: prefix x-authenticated-, header_mutation',
    edits: [
      edit(E, /\n +- remove_on_match: \{ key_matcher: \{ safe_regex: .*/),
      edit(E, /\n +- prefix: x-authenticated-/),
    ],
    hole: 'a forged identity goes on, and the real one does not',
    still: 401,
    stops: BY_ABSENCE,
    probe: forged('X-Authenticated-User'),
  },
  {
    line: 'header_mutation: remove_on_match remote-',
    edits: [edit(E, /\n +- remove_on_match: \{ key_matcher: \{ prefix: remote- \} \}/)],
    hole: 'a forged `Remote-User` goes on to an application that believes it',
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('Remote-User'),
  },
  {
    line: 'use_remote_address: true',
    edits: [edit(E, 'use_remote_address: true', 'use_remote_address: false')],
    hole: 'the client chooses its address',
    still: 'nothing',
    stops: BY_NONE,
    probe: clientAddress,
  },
  {
    line: 'header_mutation: remove_on_match x.authenticated., not a prefix',
    edits: [edit(E, /key_matcher: \{ safe_regex: .*/, 'key_matcher: { prefix: x-authenticated- } }')],
    hole: '`X.Authenticated.User` goes on',
    still: 400,
    stops: BY_ALIAS,
    probe: forged('X.Authenticated.User'),
  },
  {
    line: 'path_prefix: /verify/envoy',
    edits: [edit(E, /\n +path_prefix: .*/)],
    hole: 'the check is asked at the client’s own path, where a page could answer 200',
    still: 'nothing',
    stops: 'forward-auth: its pages are below the paths that skip the check; health answers elsewhere',
    probe: {
      ...failing(403),
      method: 'GET',
      target: '/healthz',
      passed: ({ asked }) => asked.some(({ url }) => url === '/healthz'),
    },
  },
];

const ENVOY_GRPC: readonly Omit<Hole, 'proxy'>[] = [
  {
    line: 'encode_raw_headers: true',
    edits: [edit(E, /\n +encode_raw_headers: true/)],
    hole: 'two `Mcp-Name` are one name to forward-auth, which no rule for tools knows',
    still: 400,
    stops: 'relay 400: the header came twice',
    unnoticed: true,
    probe: {
      withToken: true,
      lines: ['MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call', 'Mcp-Name: a', 'Mcp-Name: b'],
      passed: reached,
    },
  },
];

const of = (proxy: DeployedProxy, holes: readonly Omit<Hole, 'proxy'>[]): Hole[] =>
  holes.map((hole) => ({ proxy, ...hole }));

/** Lines of `deploy/` that close a hole, each with an attack that shows the hole once the line is gone. */
export const HOLES: readonly Hole[] = [
  ...of('traefik', TRAEFIK),
  ...of('caddy', CADDY),
  ...of('nginx', NGINX),
  ...of('envoy', [...ENVOY_BOTH, ...ENVOY]),
  ...of('envoy-grpc', [...ENVOY_BOTH, ...ENVOY_GRPC]),
];

export function rowOf({ proxy, line, hole, stops }: Hole): string {
  return `| ${proxy} | \`${line}\` | ${hole} | ${stops} |`;
}
