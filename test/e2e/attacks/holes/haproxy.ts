import { edit, type HolesOfOne } from './hole.ts';
import { clientAddress, describedAs, failing, forged, reached, secret, silence } from './probes.ts';
import { BY_ABSENCE, BY_ALIAS, BY_ASSERTION, BY_BINDING, BY_FAMILY, BY_NONE, BY_SECRET, OVERRIDE } from './stops.ts';

const H = 'haproxy.cfg';
const L = 'postern.lua';

export const HAPROXY: HolesOfOne = [
  {
    line: 'deny if req.fhdr_cnt() gt 80, MAX_VALUES',
    edits: [
      edit(H, /\n +http-request deny .* req\.fhdr_cnt\(\) gt 80 .*/),
      edit(L, 'MAX_VALUES = 85', 'MAX_VALUES = 1000'),
    ],
    hole: '96 header lines end the whole process',
    still: 'nothing',
    stops: 'nothing: nobody is let through, and nobody is served',
    probe: {
      withToken: true,
      lines: Array.from({ length: 94 }, (_none, at) => `A-${at}: b`),
      passed: ({ status }) => status === undefined,
    },
  },
  {
    line: 'deny if req.hdr_names [^A-Za-z0-9-]',
    edits: [edit(H, /\n +http-request deny .* req\.hdr_names.*/)],
    hole: '`X_Authenticated_User` goes on',
    still: 400,
    stops: BY_ALIAS,
    probe: forged('X_Authenticated_User'),
  },
  {
    line: 'deny unless url_beg /',
    edits: [edit(H, /\n +http-request deny .* url_beg \/ .*/)],
    hole: '`GET http://127.0.0.1/public/x` goes on as it is, where an application could read another host or path',
    still: 404,
    stops: 'relay 404: the target is not a path',
    probe: { method: 'GET', target: 'http://127.0.0.1/public/x', lines: [], passed: reached },
  },
  {
    line: 'deny if req.hdr(connection)',
    edits: [edit(H, /\n +http-request deny .* req\.hdr\(connection\).*/)],
    hole: '`Connection: X-Authenticated-User` goes on',
    still: 400,
    stops: 'relay 400: Connection names a header of identity',
    unnoticed: true,
    probe: { withToken: true, lines: ['Connection: X-Authenticated-User'], passed: reached },
  },
  {
    line: 'del-header x-authenticated-',
    edits: [edit(H, /\n +http-request del-header x-authenticated- .*/)],
    hole: 'a header of the family that the answer does not know goes on',
    still: 'assertion',
    stops: BY_ASSERTION,
    probe: forged('X-Authenticated-Role'),
  },
  {
    line: 'del-header remote-',
    edits: [edit(H, /\n +http-request del-header remote- .*/)],
    hole: 'a forged `Remote-User` goes on to an application that believes it',
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('Remote-User'),
  },
  {
    line: 'set-header X-Postern-Proxy-Secret',
    edits: [
      edit(H, /\n +http-request set-header X-Postern-Proxy-Secret .*/),
      edit(H, /\n +http-request del-header x-postern- .*/),
    ],
    hole: 'no proof, or the client’s',
    still: 401,
    stops: BY_SECRET,
    probe: secret,
  },
  {
    line: 'http-request lua, deny_status 503 unless allowed',
    edits: [
      edit(H, /\n +http-request lua\.postern_check.*/),
      edit(H, /\n +http-request deny .*txn\.postern_allowed.*/),
    ],
    hole: 'nobody is asked',
    still: 401,
    stops: BY_ABSENCE,
    probe: { lines: [], passed: reached },
  },
  {
    line: 'deny_status 503 unless allowed',
    edits: [edit(H, /\n +http-request deny .*txn\.postern_allowed.*/)],
    hole: 'without forward-auth everybody is let through',
    still: 401,
    stops: BY_ABSENCE,
    probe: failing('reset'),
  },
  {
    line: 'postern.lua: status == 200',
    edits: [edit(L, 'status == 200', 'status >= 200 and status <= 299')],
    hole: 'an answer such as 204 allows',
    still: 401,
    stops: BY_ABSENCE,
    probe: failing(204),
  },
  {
    line: 'postern.lua: x-forwarded-uri, del-header x-forwarded-',
    edits: [
      edit(H, /\n +http-request del-header x-forwarded- .*/),
      edit(L, / and name:sub\(1, 12\) ~= "x-forwarded-"/),
      edit(L, /\n +headers\["x-forwarded-uri"\] = .*/),
    ],
    hole: 'a client’s `X-Forwarded-Uri` is judged instead of its path',
    still: 401,
    stops: BY_BINDING,
    probe: describedAs('/public/x'),
  },
  {
    line: 'postern.lua: x-forwarded-for, del-header x-forwarded-',
    edits: [
      edit(H, /\n +http-request del-header x-forwarded- .*/),
      edit(H, /\n +http-request set-header X-Forwarded-For .*/),
      edit(L, / and name:sub\(1, 12\) ~= "x-forwarded-"/),
      edit(L, /\n +headers\["x-forwarded-for"\] = .*/),
    ],
    hole: 'the client chooses its address',
    still: 'nothing',
    stops: BY_NONE,
    probe: clientAddress,
  },
  {
    line: 'timeout server 5s',
    edits: [edit(H, /\n +timeout server 5s/), edit(L, 'TIMEOUT = 8000', 'TIMEOUT = 60000')],
    quicker: [edit(H, 'timeout server 5s', 'timeout server 300ms')],
    hole: 'where forward-auth hangs, requests wait for an hour',
    still: 'nothing',
    stops: 'nothing: they do not pass, but they pile up',
    probe: silence,
  },
  {
    line: 'del-header x-original-url',
    edits: [edit(H, /\n +http-request del-header x-original-url/)],
    hole: OVERRIDE,
    still: 'assertion',
    stops: BY_FAMILY,
    probe: forged('X-Original-URL'),
  },
];
