import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { type CollectedSpan, type Collector, startCollector } from '../support/otlp-collector.ts';
import { until } from '../support/until.ts';
import { askModern } from './eras/support/wire.ts';
import { ask, ECHO, endAll, onEnd, relay, upstream } from './support/relay.ts';
import { scriptedServer } from './support/scripted-server.ts';
import { connectAs } from './support/sdk-client.ts';
import { openWebSocket } from './support/web-socket.ts';

const PROGRAM = fileURLToPath(new URL('./support/scripted-program.js', import.meta.url));
const INVENTED = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const ALICE = ['X-Authenticated-User', 'alice'];
const NOTHING = { rules: [{ who: { users: ['nobody'] }, tools: ['*'] }] };

describe('traces of the relay', function () {
  this.timeout(60_000);
  let collector: Collector;

  beforeEach(async () => {
    collector = await startCollector();
    onEnd(() => collector.stop());
  });
  afterEach(endAll);

  const open = (overrides: Parameters<typeof relay>[0], tracing: object = {}) =>
    relay(overrides, { tracing: { endpoint: collector.url, ...tracing } });
  const parentOf = ({ parentSpanId }: CollectedSpan) => collector.find('it', ({ spanId }) => spanId === parentSpanId);

  it('reach a program behind a pipe in `_meta`, which has no other way', async () => {
    const running = await open({ servers: { one: { command: process.execPath, args: [PROGRAM] } } });
    const client = await connectAs(running.url, 'alice');
    const { content } = await client.callTool({
      name: 'meta',
      arguments: {},
      _meta: { mine: 1, traceparent: INVENTED },
    });
    const meta = JSON.parse((content as Array<{ text: string }>)[0]?.text ?? '');
    const call = await collector.find('the call', ({ attributes }) => attributes['gen_ai.tool.name'] === 'meta');
    const client_ = await collector.find(
      'the call at the program',
      ({ traceId, kind, name }) => traceId === call.traceId && kind === 'client' && name === 'tools/call',
    );
    assert.deepEqual(meta, { traceparent: `00-${client_.traceId}-${client_.spanId}-01`, mine: 1 });
    assert.equal(client_.attributes['network.transport'], 'pipe');
    assert.equal((await parentOf(client_)).name, 'POST /servers/{server}/mcp');
    // The client's own trace is a link and no parent.
    assert.deepEqual(client_.links, [{ traceId: INVENTED.split('-')[1], spanId: INVENTED.split('-')[2] }]);
  });

  it('begin with each message of a WebSocket, and keep what the policy refuses there', async () => {
    const { url } = await scriptedServer();
    const running = await open({ servers: { one: { url } }, policy: NOTHING }, { sample: 0 });
    // Somebody who may use something is let in.
    const client = await openWebSocket(running.port, 'nobody');
    await client.initialize();
    await client.answerTo(client.request('tools/call', { name: 'good' }));
    await client.answerTo(client.request('resources/read', { uri: 'secret://query?token=x' }));
    const denied = await collector.find('the refusal', ({ attributes }) => attributes['postern.reason'] === 'policy');
    assert.equal(denied.name, 'policy');
    const message = await parentOf(denied);
    assert.equal(message.name, 'resources/read');
    assert.equal(message.kind, 'server');
    assert.equal(message.parentSpanId, '');
    assert.ok(!JSON.stringify(collector.spans).includes('secret://'));
    assert.ok(!collector.spans.some(({ attributes }) => attributes['gen_ai.tool.name'] === 'good'));
  });

  it('believe no `traceparent` but a trusted proxy’s', async () => {
    const url = await upstream(ECHO);
    const trusting = await open({ servers: { one: { url } } });
    await ask(trusting.port, { headers: [...ALICE, 'traceparent', INVENTED] });
    const believed = await collector.find('the request', ({ parentSpanId }) => parentSpanId === '00f067aa0ba902b7');
    assert.equal(believed.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    collector.spans.length = 0;
    const other = await open({ servers: { one: { url } }, trust: { proxies: ['203.0.113.0/24'] } });
    assert.equal((await ask(other.port, { headers: [...ALICE, 'traceparent', INVENTED] })).status, 401);
    const refused = await collector.find('the refusal', ({ kind }) => kind === 'server');
    assert.notEqual(refused.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.equal(refused.parentSpanId, '');
  });

  it('tell requests apart that share a connection to the server', async () => {
    const running = await open({ servers: { one: { url: await upstream(ECHO) } } });
    const ids = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const { text } = await ask(running.port, { headers: [...ALICE, 'X-Request-Id', `request-${index}`] });
        return [`request-${index}`, (JSON.parse(text).result.headers.traceparent as string).split('-')[1]] as const;
      }),
    );
    const lines = () => running.logs.map((line) => JSON.parse(line)).filter(({ message }) => message === 'relayed');
    await until('all are logged', () => lines().length === ids.length);
    assert.equal(new Set(ids.map(([, traceId]) => traceId)).size, ids.length);
    for (const [requestId, traceId] of ids)
      assert.equal(lines().find((line) => line.requestId === requestId)?.trace_id, traceId);
  });

  it('tell a tool by its name only once the server has listed it', async () => {
    const running = await open({ servers: { one: { command: process.execPath, args: [PROGRAM] } } });
    const client = await connectAs(running.url, 'alice');
    await client.callTool({ name: 'pid', arguments: {} });
    await client.listTools();
    await client.callTool({ name: 'meta', arguments: {} });
    const names = (tool: string) =>
      collector.spans.filter(({ attributes, kind }) => kind === 'client' && attributes['gen_ai.tool.name'] === tool);
    await until('both were sent', () => names('pid').length === 1 && names('meta').length === 1);
    assert.equal(names('pid')[0]?.name, 'tools/call');
    assert.equal(names('meta')[0]?.name, 'tools/call meta');
  });

  it('go through the translation between eras, to each request that it makes', async () => {
    const { url, seen } = await scriptedServer();
    const running = await open({ servers: { one: { url, era: 'legacy' } } });
    const { status } = await askModern(running.port, 'alice', 'tools/call', { name: 'add' });
    assert.equal(status, 200);
    const call = seen.find(({ message }) => message?.method === 'tools/call');
    assert.ok(call?.message);
    const traceparent = String(call.headers.traceparent);
    const [, traceId, spanId] = traceparent.split('-');
    const { _meta: meta } = call.message.params as { _meta: Record<string, unknown> };
    assert.equal(meta.traceparent, traceparent);
    const asked = await collector.find('the call', (span) => span.spanId === spanId);
    assert.equal(asked.name, 'tools/call');
    const request = await parentOf(asked);
    assert.equal(request.name, 'POST /servers/{server}/mcp');
    const begun = await collector.find('the session', ({ name, kind }) => name === 'initialize' && kind === 'client');
    assert.equal(begun.traceId, traceId);
  });

  it('say which server failed', async () => {
    const running = await open({ servers: { one: { url: 'http://127.0.0.1:9/mcp' } } }, { sample: 0 });
    assert.equal((await ask(running.port, { headers: ALICE })).status, 502);
    const failed = await collector.find('the failure', ({ kind }) => kind === 'client');
    assert.equal(failed.attributes['error.type'], 'ECONNREFUSED');
    assert.equal(failed.attributes['server.port'], 9);
    const request = await parentOf(failed);
    assert.deepEqual([request.failed, request.attributes['http.response.status_code']], [true, 502]);
  });

  it('without a collector messages and fields pass as they came', async () => {
    let body = '';
    const url = await upstream((request, response) => {
      request.on('data', (chunk) => {
        body += chunk;
      });
      ECHO(request, response);
    });
    const running = await relay({ servers: { one: { url } } });
    const sent = `{"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"name":"a","_meta":{"traceparent":"mine"}}}`;
    const { text } = await ask(running.port, { headers: [...ALICE, 'traceparent', INVENTED], body: sent });
    assert.equal(body, sent);
    assert.equal(JSON.parse(text).result.headers.traceparent, INVENTED);
  });
});
