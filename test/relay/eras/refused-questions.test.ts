import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { CONNECTIONS, type Connection } from '../downstream/connections.ts';
import { call } from '../protocol/numbers/clients.ts';
import { endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { askModern, type Json } from './support/wire.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
const ABLE = { sampling: {}, roots: {}, elicitation: { form: {} } };
const META = 'io.modelcontextprotocol/';

const sampling = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };
const roots = { method: 'roots/list' };
const elicitation = { method: 'elicitation/create', params: { message: 'who?', requestedSchema: { type: 'object' } } };
/** What each tool of the servers asks first. */
const QUESTIONS: Readonly<Record<string, Json>> = {
  sample: { it: sampling },
  roots: { it: roots },
  elicit: { it: elicitation },
  several: { one: sampling, two: roots, three: elicitation },
  insists: { it: sampling },
};

/** A server without sessions, which says what it was answered. */
async function modernServer() {
  const rounds: Json[] = [];
  const { url } = await scriptedServer({
    post: ({ id, method, params }, response) => {
      const { name, inputResponses, requestState } = params as { name: string; [key: string]: unknown };
      if (method === 'tools/call') rounds.push({ id, inputResponses, requestState });
      const isAnswered = inputResponses !== undefined && name !== 'insists';
      const asked = { resultType: 'input_required', inputRequests: QUESTIONS[name], requestState: 'kept' };
      const content = [{ type: 'text', text: 'done' }];
      const result =
        method === 'server/discover'
          ? { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
          : isAnswered
            ? { resultType: 'complete', content, structuredContent: { answered: inputResponses } }
            : asked;
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      return true;
    },
  });
  return { url, rounds };
}

/** Refuses every question, as often as one comes. @returns how many came */
function refuseAll(connection: Connection): () => number {
  const seen = new Set<string>();
  return () => {
    for (const [, json = ''] of connection.text.matchAll(/(\{"jsonrpc":"2\.0","id":"[^"]+","method":.*\})/g)) {
      const { id } = JSON.parse(json) as { id: string };
      if (seen.has(id)) continue;
      seen.add(id);
      const error = { code: -1, message: 'User rejected the request' };
      connection.send(JSON.stringify({ jsonrpc: '2.0', id, error }));
    }
    return seen.size;
  };
}

const PLACES = [
  ['the server', '/servers/one', ''],
  ['all as one', '', 'one__'],
] as const;

describe('a question that a client refuses', function () {
  this.timeout(30_000);
  afterEach(endAll);

  async function start(server: Json) {
    const { port } = await relay({ servers: { one: server }, aggregate: { servers: ['one'], timeout: '10s' } });
    return port;
  }

  for (const [client, connect] of Object.entries(CONNECTIONS))
    for (const [place, path, prefix] of PLACES) {
      for (const [tool, given] of [
        ['sample', {}],
        ['roots', {}],
        ['elicit', { it: { action: 'cancel' } }],
        ['several', { three: { action: 'cancel' } }],
      ] as const)
        it(`of ${tool} fails, and the call goes on without its answer: ${client} → a server without sessions, by ${place}`, async () => {
          const { url, rounds } = await modernServer();
          const connection = await connect(await start({ url, era: 'modern' }), path, ABLE);
          const asked = refuseAll(connection);
          connection.send(call(`${prefix}${tool}`, '5', '{}'));
          await until('the call is answered', () => asked() > 0 && /"id":5\b/.test(connection.text));
          assert.match(connection.text, new RegExp(`"structuredContent":${JSON.stringify({ answered: given })}`));
          assert.equal(asked(), Object.keys(QUESTIONS[tool] as Json).length, 'asked once');
          const { inputResponses, requestState } = rounds[1] ?? {};
          assert.deepEqual([inputResponses, requestState], [given, 'kept']);
          assert.notEqual(
            rounds[0]?.id,
            (rounds[1] as Json).id,
            'each round is a request of its own (basic/patterns/mrtr)',
          );
        });

      it(`is not put again, and ends the call of a server that insists: ${client}, by ${place}`, async () => {
        const { url, rounds } = await modernServer();
        const connection = await connect(await start({ url, era: 'modern' }), path, ABLE);
        const asked = refuseAll(connection);
        connection.send(call(`${prefix}insists`, '5', '{}'));
        await until('the call is answered', () => asked() > 0 && /"id":5\b/.test(connection.text));
        assert.match(connection.text, /"code":-32603,"message":"the client has refused to answer/);
        assert.deepEqual([asked(), rounds.length], [1, 2]);
      });

      it(`of sampling goes to a program in the client’s words: ${client}, by ${place}`, async () => {
        const connection = await connect(await start({ command: process.execPath, args: [PROGRAM] }), path, ABLE);
        const asked = refuseAll(connection);
        connection.send(call(`${prefix}ask`, '5', '{}'));
        await until('the call is answered', () => asked() > 0 && /"id":5\b/.test(connection.text));
        assert.match(connection.text, /\{\\"refused\\":-1\}/);
      });
    }

  for (const [place, path, prefix] of PLACES)
    it(`by leaving it out twice is refused at a server with sessions, by ${place}`, async () => {
      const port = await start({ command: process.execPath, args: [PROGRAM] });
      const able = { [`${META}clientCapabilities`]: ABLE };
      const ask = (params: Json) =>
        askModern(port, 'alice', 'tools/call', { name: `${prefix}ask`, ...params }, able, `${path}/mcp`);
      const first = await ask({});
      assert.equal(first.result?.resultType, 'input_required');
      const again = await ask({ requestState: first.result?.requestState, inputResponses: {} });
      assert.deepEqual(again.result?.inputRequests, first.result?.inputRequests, 'asked again (basic/patterns/mrtr)');
      const last = await ask({ requestState: again.result?.requestState, inputResponses: {} });
      assert.equal(last.result?.resultType, 'complete', JSON.stringify(last));
      assert.match(JSON.stringify(last.result?.content), /refused\\+":-1/);
    });
});
