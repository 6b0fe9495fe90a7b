import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { startChild } from '../../support/child.ts';
import { startEverythingServer } from '../../support/everything-server.ts';
import { freePorts } from '../../support/free-port.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';
import { modernClient } from './support/clients.ts';

const EVERYTHING = fileURLToPath(
  new URL('../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);

/** The MCP project's own example server, by the first of its packages, which knows nothing of the stateless era. */
const WAYS: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
  'streamable HTTP': async () => {
    const [port = 0] = await freePorts(1);
    const server = await startEverythingServer(port);
    onEnd(() => server.stop());
    return { url: `http://127.0.0.1:${port}/mcp` };
  },
  stdio: async () => ({ command: process.execPath, args: [EVERYTHING, 'stdio'] }),
  'HTTP+SSE': async () => {
    const [port = 0] = await freePorts(1);
    const server = await startChild('server-everything', process.execPath, [EVERYTHING, 'sse'], {
      env: { PORT: String(port) },
      ready: `http://127.0.0.1:${port}/message`,
    });
    onEnd(() => server.stop());
    return { url: `http://127.0.0.1:${port}/sse`, transport: 'http-sse' };
  },
};

describe('a stateless client of the example server of the first package', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [way, start] of Object.entries(WAYS))
    it(`over ${way}: tools, progress, and every kind of question`, async () => {
      const { url } = await relay({ servers: { one: await start() } });
      const client = await modernClient(url);
      const call = async (name: string, args = {}) => JSON.stringify(await client.callTool({ name, arguments: args }));
      assert.match(await call('echo', { message: 'hello' }), /hello/);
      assert.match(await call('trigger-sampling-request', { prompt: 'hm' }), /sampled by alice/);
      assert.match(await call('trigger-elicitation-request'), /alice@example.com/);
      assert.match(await call('get-roots-list'), /file:\/\/\/home\/alice/);
      const progress: number[] = [];
      await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } },
        { onprogress: ({ progress: at }) => progress.push(at) },
      );
      assert.deepEqual(progress, [1, 2]);
      assert.ok((await client.listResources()).resources.length > 0);
    });
});
