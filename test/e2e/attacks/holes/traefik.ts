import { FORGER } from '../oracle.ts';
import { edit, type HolesOfOne } from './hole.ts';
import { ambiguous, askedWith, describedAs, forged, has, reached, secret } from './probes.ts';
import { BY_ABSENCE, BY_ALIAS, BY_ASSERTION, BY_BINDING, BY_FAMILY, BY_SECRET, BY_TARGET, OVERRIDE } from './stops.ts';

const D = 'dynamic.yaml';
const T = 'traefik.yaml';

export const TRAEFIK: HolesOfOne = [
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
    hole: 'no check is asked for',
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
  {
    line: 'authResponseHeadersRegex, X-Original-Url',
    edits: [edit(D, '|X-Original-Url', '')],
    hole: OVERRIDE,
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('X-Original-URL'),
  },
  {
    line: 'rule: !HeaderRegexp(X-Forwarded-Host, \\s)',
    edits: [edit(D, ' && !HeaderRegexp(`X-Forwarded-Host`, `\\\\s`)')],
    hole: 'over HTTP/2, a host with spaces is judged without them, and goes on as an empty `Host`',
    still: 401,
    stops: BY_BINDING,
    probe: { withToken: true, http2: { ':authority': '127.0.0.1 ' }, lines: [], passed: reached },
  },
];
