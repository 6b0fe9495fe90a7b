import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { allowInsecureRequests, Configuration, customFetch, refreshTokenGrant } from 'openid-client';
import { isOutage } from '../../../src/platform/oauth-failures.ts';
import { createOutboundFetch } from '../../../src/platform/outbound/connections.ts';

describe('answers that come by the way out', () => {
  for (const [status, outage] of [
    [503, true],
    [502, true],
    [429, true],
    [404, false],
  ] as const)
    it(`of a token endpoint with ${status} are ${outage ? 'an outage' : 'no outage'}`, async () => {
      const server = createServer((_request, response) => response.writeHead(status).end('no JSON'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const configuration = new Configuration({ issuer, token_endpoint: `${issuer}/token` }, 'gate', 'word');
      allowInsecureRequests(configuration);
      const fetcher = createOutboundFetch();
      configuration[customFetch] = (url, options) => fetcher(url, options as RequestInit);
      try {
        await assert.rejects(refreshTokenGrant(configuration, 'token'), (error) => isOutage(error) === outage);
        const answer = await fetcher(new Request(issuer));
        assert.ok(answer instanceof Response);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
});
