import assert from 'node:assert/strict';
import { afterEach, before, describe, it } from 'mocha';
import { goSdkServer, startGoSdkServer } from '../../support/go-sdk-server.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';
import { legacyClient } from './support/clients.ts';
import { askModern, openSession } from './support/wire.ts';

const PLACES = { 'the server': ['/servers/one/mcp', ''], 'all as one': ['/mcp', 'one__'] } as const;

describe('a server of the Go SDK, whose era is found out', function () {
  this.timeout(60_000);
  let program: string;
  before(async function () {
    this.timeout(300_000);
    program = await goSdkServer(this);
  });
  afterEach(endAll);

  async function start(stateless: boolean) {
    const server = await startGoSdkServer(program, { stateless });
    onEnd(() => server.stop());
    const { port } = await relay({
      servers: { one: { url: server.url } },
      aggregate: { servers: ['one'], timeout: '10s' },
    });
    return port;
  }

  for (const stateless of [false, true])
    for (const [place, [path, prefix]] of Object.entries(PLACES))
      for (const first of ['modern', 'legacy']) {
        const kind = stateless ? 'without sessions' : 'with sessions, as by default';
        it(`${kind}: has its tools for clients of both eras, by ${place}, a ${first} one first`, async () => {
          const port = await start(stateless);
          if (first === 'legacy') await openSession(port, 'alice', path);
          const { result } = await askModern(port, 'alice', 'tools/list', {}, {}, path);
          const tools = result?.tools as ReadonlyArray<{ name: string }> | undefined;
          assert.ok(
            tools?.some(({ name }) => name === `${prefix}test_simple_text`),
            JSON.stringify(result),
          );
          const called = await askModern(port, 'alice', 'tools/call', { name: `${prefix}test_simple_text` }, {}, path);
          assert.match(JSON.stringify(called.result?.content), /simple text/);
          assert.equal(called.result?.resultType, 'complete');
        });
      }

  for (const stateless of [false, true])
    it(`${stateless ? 'without' : 'with'} sessions: serves a client of the first package`, async () => {
      const client = await legacyClient(await start(stateless), 'alice');
      const { content } = await client.callTool({ name: 'test_simple_text', arguments: {} });
      assert.match(JSON.stringify(content), /simple text/);
    });
});
