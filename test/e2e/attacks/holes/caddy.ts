import { edit, type HolesOfOne } from './hole.ts';
import { askedWith, describedAs, failing, forged, hopByHop, lacks, secret, silence, UPGRADE } from './probes.ts';
import { BY_ABSENCE, BY_ASSERTION, BY_BINDING, BY_FAMILY, BY_SECRET, BY_USER, OVERRIDE } from './stops.ts';

const C = 'Caddyfile';

export const CADDY: HolesOfOne = [
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
      edit(C, /\n\t+request_header -X-Forwarded-Uri/),
      edit(
        C,
        /\n\t\t# SECURITY: no peer in front of Caddy/,
        '\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\t# no peer',
      ),
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
  {
    line: 'request_header -X-Original-Url',
    edits: [edit(C, /\n\t+request_header -X-Original-Url/)],
    hole: OVERRIDE,
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('X-Original-URL'),
  },
];
