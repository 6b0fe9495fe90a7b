import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { WebSocket } from 'ws';
import { handshake } from '../relay/support/web-socket.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { type DeployedProxy, PROXIES } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';

type Headers = Record<string, string>;

const TRANSPORTS: Record<string, (base: string, headers: Headers) => Transport> = {
  WebSocket: (base, headers) => {
    globalThis.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols, { headers });
      }
    } as unknown as typeof globalThis.WebSocket;
    return new WebSocketClientTransport(new URL(`${base.replace('http', 'ws')}/servers/everything/ws`)) as Transport;
  },
  'HTTP+SSE': (base, headers) =>
    new SSEClientTransport(new URL(`${base}/servers/everything/sse`), { requestInit: { headers } }) as Transport,
};

for (const name of Object.keys(PROXIES) as DeployedProxy[])
  describe(`long connections through the real ${name}`, () => {
    let chain: Chain;
    let base: string;
    let token: string;
    before(async function () {
      this.timeout(300_000);
      chain = await startChain(name, await programOrSkip(this, PROXIES[name].program));
      base = new URL(chain.endpoint('everything')).origin;
      token = await chain.token('alice', 'everything');
    });
    after(async function () {
      this.timeout(60_000);
      await chain?.stop();
    });

    for (const [kind, transport] of Object.entries(TRANSPORTS))
      it(`${kind}: the official client calls a tool as who the proxy says, whatever it claims`, async () => {
        const client = new Client({ name: 'e2e', version: '1.0.0' });
        await client.connect(transport(base, { Authorization: `Bearer ${token}`, 'X-Authenticated-User': 'root' }));
        const answer = await client.callTool({ name: 'echo', arguments: { message: 'through the proxy' } });
        assert.match(JSON.stringify(answer.content), /through the proxy/);
        await client.close();
        const opened = chain.running.relay.output
          .split('\n')
          .filter((line) => line.includes('a connection was opened'));
        assert.match(opened.at(-1) ?? '', /"user":"[^"]*alice"/);
      });

    it('WebSocket: without a token the upgrade is refused with the challenge, and a forged identity changes nothing', async () => {
      const upgrade = (headers: string[]) =>
        handshake(chain.ports.edge, headers, { path: '/servers/everything/ws', host: new URL(base).host });
      for (const headers of [[], ['X-Authenticated-User', 'alice']]) {
        const answer = await upgrade(headers);
        assert.equal(answer.status, 401);
        assert.match(String(answer.headers['www-authenticate']), /resource_metadata=/);
      }
      // Some proxies refuse such a name by themselves.
      assert.match(String((await upgrade(['x_authenticated_user', 'alice'])).status), /^40[01]$/);
    });
  });
