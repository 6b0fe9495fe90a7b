import { FORGER } from '../oracle.ts';
import { edit, type HolesOfOne } from './hole.ts';
import { ambiguous, clientAddress, failing, forged, reached, secret } from './probes.ts';
import { BY_ABSENCE, BY_ALIAS, BY_ASSERTION, BY_FAMILY, BY_NONE, BY_SECRET, BY_TARGET, OVERRIDE } from './stops.ts';

const E = 'envoy.yaml';
/** One line of the list that is written from deploy/source. */
const removal = (name: string): RegExp =>
  new RegExp(
    `\\n +- remove_on_match:\\n +key_matcher:\\n +safe_regex: .*"${name.replaceAll('-', '\\[\\^a-z0-9\\]')}[\\["].*`,
  );

const prefixed = (prefix: string) => `\n${' '.repeat(26)}- remove_on_match: { key_matcher: { prefix: ${prefix} } }`;

const BOTH: HolesOfOne = [
  {
    line: 'header_mutation: remove_on_match x.authenticated.',
    edits: [edit(E, removal('x-authenticated'))],
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
    line: 'header_mutation: remove_on_match x.original.url',
    edits: [edit(E, removal('x-original-url'))],
    hole: OVERRIDE,
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('X-Original-URL'),
  },
  {
    line: 'header_mutation: remove_on_match mcp, not by a hyphen',
    edits: [edit(E, /\n +- remove_on_match:\n +key_matcher:\n +safe_regex: .*"mcp\[.*/)],
    hole: '`Mcp.Name` goes on to an application that takes it for the judged `Mcp-Name`',
    still: 'assertion',
    stops: BY_FAMILY,
    unnoticed: true,
    probe: forged('Mcp.Name'),
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

const CALLING = ['MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call'];

const HTTP: HolesOfOne = [
  {
    line: 'encode_raw_headers: true',
    edits: [edit(E, /\n +encode_raw_headers: true/)],
    hole: '`Mcp-Name: d\\xe4nger` is judged as `d!nger`',
    still: 400,
    stops: 'relay 400: a name outside ASCII must be encoded',
    unnoticed: true,
    probe: {
      withToken: true,
      lines: [...CALLING, 'Mcp-Name: d\xe4nger'],
      passed: reached,
    },
  },
  ...[
    ['remote', 'Remote.User'],
    ['x-auth-request', 'X.Auth.Request.User'],
    ['x-webauth', 'X.Webauth.User'],
    ['x-forwarded-user', 'X.Forwarded.User'],
  ].map(([name, alias]) => ({
    line: `header_mutation: remove_on_match ${name?.replaceAll('-', '.')}, not a prefix`,
    edits: [edit(E, removal(name as string), prefixed(`${name}-`))],
    hole: `\`${alias}\` goes on to an application that takes it for the name with hyphens`,
    still: 'assertion' as const,
    stops: BY_FAMILY,
    probe: forged(alias as string),
  })),
  {
    line: 'allowed_upstream_headers: prefix x-authenticated-, header_mutation',
    edits: [edit(E, removal('x-authenticated')), edit(E, /\n +- prefix: x-authenticated-/)],
    hole: 'a forged identity goes on, and the real one does not',
    still: 401,
    stops: BY_ABSENCE,
    probe: forged('X-Authenticated-User'),
  },
  {
    line: 'header_mutation: remove_on_match remote.',
    edits: [edit(E, removal('remote'))],
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
    edits: [edit(E, removal('x-authenticated'), prefixed('x-authenticated-'))],
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
    stops: 'forward-auth: its pages are below the paths that skip the check; health answers at another port',
    probe: {
      ...failing(403),
      method: 'GET',
      target: '/healthz',
      passed: ({ asked }) => asked.some(({ url }) => url === '/healthz'),
    },
  },
];

const GRPC: HolesOfOne = [
  {
    line: 'encode_raw_headers: true',
    edits: [edit(E, /\n +encode_raw_headers: true/)],
    hole: 'two `Mcp-Name` are one name to forward-auth, which no rule for tools knows',
    still: 400,
    stops: 'relay 400: the header came twice',
    unnoticed: true,
    probe: {
      withToken: true,
      lines: [...CALLING, 'Mcp-Name: a', 'Mcp-Name: b'],
      passed: reached,
    },
  },
];

export const ENVOY: HolesOfOne = [...BOTH, ...HTTP];
export const ENVOY_GRPC: HolesOfOne = [...BOTH, ...GRPC];
