import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { CheckRequest } from '../../../src/forward-auth/decision/request.ts';
import { TRAEFIK } from '../../../src/forward-auth/proxies/traefik.ts';
import { Differential } from './differential.ts';
import type { Seen } from './witness.ts';

const OWN = ['Authorization', 'Bearer t', 'Cookie', 'a=1; b=2', 'Mcp-Name', 'n', 'Mcp-Method', 'tools/call'];
const ARRIVED: Seen = { method: 'GET', url: '/app/x?q=1', rawHeaders: ['Host', '127.0.0.1', ...OWN], rawTrailers: [] };

function asked(raw: readonly string[] = OWN, cookie?: string) {
  const described = ['X-Forwarded-Method', 'GET', 'X-Forwarded-Uri', '/app/x?q=1', 'X-Forwarded-Host', '127.0.0.1'];
  const rawHeaders = [...described, 'X-Forwarded-Proto', 'http', 'X-Forwarded-For', '127.0.0.1', ...raw];
  const request = TRAEFIK.parse({ rawHeaders } as unknown as IncomingMessage) as CheckRequest;
  return { request, raw: rawHeaders, cookie };
}

describe('the comparison of what was allowed with what arrived', () => {
  const agrees = (seen: Partial<Seen>, ...all: Array<ReturnType<typeof asked>>) => {
    const differential = new Differential();
    for (const one of all) differential.allow(one);
    return differential.agrees({ ...ARRIVED, ...seen }, 'http');
  };
  const headers = (...rawHeaders: string[]) => ({ rawHeaders });

  it('agrees on the same request, however its headers are split, joined and ordered', () => {
    assert.ok(agrees({}, asked()));
    assert.ok(
      agrees(
        headers(
          'cookie',
          'a=1',
          'Cookie',
          'b=2',
          'mcp-method',
          'tools/call',
          ...ARRIVED.rawHeaders.slice(0, 4),
          'mcp-name',
          'n',
        ),
        asked(),
      ),
    );
    assert.ok(agrees(headers('Host', '127.0.0.1:80', ...OWN), asked()));
  });

  it('takes the cookies that the answer names in the place of those that were sent', () => {
    const left = headers('Host', '127.0.0.1', ...OWN.with(3, 'b=2'));
    assert.ok(agrees(left, asked(OWN, 'b=2')));
    assert.ok(!agrees({}, asked(OWN, 'b=2')));
    assert.ok(!agrees({}, asked(OWN, '')));
  });

  for (const [field, seen] of Object.entries<Partial<Seen>>({
    'another method': { method: 'POST' },
    'another path': { url: '/admin/x?q=1' },
    'another query': { url: '/app/x?q=2' },
    'another host': headers('Host', 'other.example', ...OWN),
    'an empty host': headers('Host', '', ...OWN),
    'another token': headers('Host', '127.0.0.1', ...OWN.with(1, 'Bearer u')),
    'a second Authorization': headers('Host', '127.0.0.1', ...OWN, 'authorization', 'Bearer u'),
    'other cookies': headers('Host', '127.0.0.1', ...OWN.with(3, 'a=1; b=3')),
    'another Mcp-Name': headers('Host', '127.0.0.1', ...OWN.with(5, 'm')),
    'an alias of Mcp-Name': headers('Host', '127.0.0.1', ...OWN, 'Mcp.Name', 'm'),
    'a header of MCP that was not shown': headers('Host', '127.0.0.1', ...OWN, 'Mcp-Session-Id', 's'),
  }))
    it(`notices ${field}`, () => assert.ok(!agrees(seen, asked())));

  it('accounts one question to one request', () => {
    const differential = new Differential();
    differential.allow(asked());
    assert.ok(differential.agrees(ARRIVED, 'http'));
    assert.ok(!differential.agrees(ARRIVED, 'http'));
  });
});
