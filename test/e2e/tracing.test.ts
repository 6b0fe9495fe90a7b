import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { documentedFields, fieldsOf } from '../docs/log-fields.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { type CollectedSpan, type Collector, startCollector } from '../support/otlp-collector.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';
import { traceEnvoy } from '../support/tracing-envoy.ts';

const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const SECRET = 'the-argument-that-nobody-may-see';
const INVENTED = '0af7651916cd43dd8448eb211c80319c';

describe('a trace through the real Traefik', () => {
  let chain: Chain;
  let collector: Collector;
  let alice: string;

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'traefik');
    collector = await startCollector();
    chain = await startChain(
      'traefik',
      program,
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20tenant',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
        // Nothing but what the proxy keeps, and what is refused.
        OTEL_TRACES_SAMPLER: 'parentbased_always_off',
      },
      (folder) =>
        appendFile(
          join(folder, 'traefik.yaml'),
          `
tracing:
  serviceName: edge
  sampleRate: 1.0
  otlp:
    http:
      endpoint: ${collector.url}/v1/traces
`,
        ),
    );
    alice = await chain.token('alice', 'echo');
  });

  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
    await collector?.stop();
  });

  const call = (id: number, headers: readonly string[], params: object = {}): Promise<RawAnswer> =>
    rawRequest(chain.ports.edge, '/servers/echo/mcp?q=1', {
      method: 'POST',
      headers: [...MCP, ...headers],
      body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'add', ...params } }),
    });
  const bearer = () => ['Authorization', `Bearer ${alice}`];

  it('is one, from the edge to the MCP server, with the right parents', async () => {
    const answer = await call(71, bearer(), { arguments: { secret: SECRET }, _meta: { progressToken: 7 } });
    assert.equal(answer.status, 200);
    const seen = chain.echo.seen.find(({ body }) => body.includes(SECRET));
    assert.ok(seen);
    const traceparent = seen.rawHeaders[seen.rawHeaders.findIndex((name) => name.toLowerCase() === 'traceparent') + 1];
    const [, traceId = '', spanId = '', flags] = (traceparent ?? '').split('-');
    assert.equal(flags, '01');
    const of = (service: string, name: string) =>
      collector.find(
        `${service} ${name}`,
        (span) => span.traceId === traceId && span.service === service && span.name === name,
      );
    const upstream = await of('postern-relay', 'tools/call');
    const relay = await of('postern-relay', 'POST /servers/{server}/mcp');
    const policy = await of('postern-relay', 'policy');
    const identify = await of('postern-relay', 'identify');
    const check = await of('postern-forward-auth', 'GET /verify/traefik');
    const authenticate = await of('postern-forward-auth', 'authenticate');
    assert.equal(upstream.spanId, spanId);
    assert.equal(upstream.kind, 'client');
    for (const inner of [upstream, policy, identify]) assert.equal(inner.parentSpanId, relay.spanId, inner.name);
    assert.equal(authenticate.parentSpanId, check.spanId);
    const edge = await collector.find('the edge', (span) => span.traceId === traceId && span.parentSpanId === '');
    assert.equal(edge.service, 'edge');
    for (const ours of [relay, check]) {
      const path = ancestors(ours, collector.spans);
      assert.equal(path.at(-1), edge, `${ours.name} hangs on ${path.map(({ name }) => name)}`);
      assert.ok(path.every(({ service }) => service === 'edge'));
    }
    // What the server is told in the message is what it is told in the field.
    const { params } = JSON.parse(seen.body);
    assert.deepEqual(params._meta, { traceparent, progressToken: 7 });
    assert.equal(upstream.attributes['mcp.method.name'], 'tools/call');
    assert.equal(upstream.attributes['gen_ai.tool.name'], 'add');
    assert.equal(check.attributes['postern.decision'], 'allow');
    assert.equal(check.attributes['postern.credential'], 'bearer');
    assert.equal(relay.attributes['http.response.status_code'], 200);
    assert.equal(relay.resource['deployment.environment.name'], 'test');
    assert.equal(collector.headers?.['x-tenant'] ?? 'a tenant', 'a tenant');
  });

  it('says nothing of tokens, arguments, queries and people', async () => {
    const ours = JSON.stringify(collector.spans.filter(({ service }) => service.startsWith('postern')));
    for (const secret of [alice, SECRET, 'alice', 'q=1']) assert.ok(!ours.includes(secret), secret);
  });

  it('leads from log lines of both processes to it', async () => {
    const { traceId } = await collector.find('a check', ({ name }) => name === 'GET /verify/traefik');
    const lines = (await chain.logs()).split('\n').filter((line) => line.includes(traceId));
    for (const process of ['forward-auth', 'relay'])
      assert.ok(
        lines.some((line) => line.includes(`"process":"${process}"`) && /"span_id":"[0-9a-f]{16}"/.test(line)),
        process,
      );
  });

  it('and the fields of these lines are documented', async () => {
    assertDocumented(await chain.logs());
  });
});

describe('a trace through the real Envoy, asking over gRPC', () => {
  let chain: Chain;
  let collector: Collector;

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'envoy');
    collector = await startCollector();
    const settings = { POSTERN_TRACING_ENDPOINT: collector.url, POSTERN_TRACING_FROM_PROXY: 'sampling' };
    chain = await startChain('envoy-grpc', program, { ...settings, POSTERN_TRACING_SAMPLE: '0' }, (folder) =>
      traceEnvoy(folder, collector.url),
    );
  });

  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
    await collector?.stop();
  });

  it('has the check and the relay below it', async () => {
    const alice = await chain.token('alice', 'echo');
    const answer = await rawRequest(chain.ports.edge, '/servers/echo/mcp', {
      method: 'POST',
      headers: [...MCP, 'Authorization', `Bearer ${alice}`],
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add' } }),
    });
    assert.equal(answer.status, 200);
    const relay = await collector.find('the relay', ({ name }) => name === 'POST /servers/{server}/mcp');
    const check = await collector.find(
      'the check',
      ({ name, traceId }) => name === 'envoy.service.auth.v3.Authorization/Check' && traceId === relay.traceId,
    );
    assert.equal(check.attributes['postern.decision'], 'allow');
    assert.equal(check.attributes['postern.proxy'], 'envoy-grpc');
    const edge = await collector.find(
      'the edge',
      ({ service, parentSpanId, traceId }) => service === 'edge' && parentSpanId === '' && traceId === relay.traceId,
    );
    for (const ours of [relay, check]) {
      const parent = await collector.find('its parent', ({ spanId }) => spanId === ours.parentSpanId);
      assert.equal(parent.service, 'edge');
      assert.equal(ancestors(ours, collector.spans).at(-1), edge);
    }
  });
});

/** Every field of every line that the processes wrote is one of docs/logs.md. */
function assertDocumented(output: string): void {
  const fields = fieldsOf(output);
  assert.ok(fields.has('trace_id') && fields.has('requestId'));
  const documented = documentedFields();
  assert.deepEqual(
    [...fields].filter((name) => !documented.has(name)),
    [],
  );
}

describe('without a proxy that traces', () => {
  let chain: Chain;
  let collector: Collector;
  let alice: string;

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'traefik');
    collector = await startCollector();
    chain = await startChain('traefik', program, {
      POSTERN_TRACING_ENDPOINT: collector.url,
      POSTERN_TRACING_SAMPLE: '0',
    });
    alice = await chain.token('alice', 'echo');
  });

  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
    await collector?.stop();
  });

  const call = (headers: readonly string[], params: object = {}) =>
    rawRequest(chain.ports.edge, '/servers/echo/mcp', {
      method: 'POST',
      headers: [...MCP, ...headers],
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', ...params } }),
    });

  it('a client cannot have its requests recorded, and what it invents reaches no server', async () => {
    const mine = `00-${INVENTED}-b7ad6b7169203331-01`;
    const answer = await call(
      ['Authorization', `Bearer ${alice}`, 'traceparent', mine, 'tracestate', 'a=b', 'baggage', 'user=alice'],
      { _meta: { traceparent: mine, baggage: 'user=alice' } },
    );
    assert.equal(answer.status, 200);
    const seen = chain.echo.seen.at(-1);
    assert.ok(seen);
    assert.ok(!`${seen.rawHeaders}${seen.body}`.includes('b7ad6b7169203331'));
    assert.ok(!`${seen.rawHeaders}${seen.body}`.includes('baggage'));
    assert.match(JSON.parse(seen.body).params._meta.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    // What comes after it has arrived, so it would have too.
    await call(['Authorization', 'Bearer eyJhbGciOiJSUzI1NiJ9.e30.bm8']);
    await collector.find('the refusal', ({ attributes }) => attributes['postern.decision'] === 'challenge');
    assert.deepEqual(
      collector.spans.filter(({ attributes }) => attributes['postern.decision'] === 'allow'),
      [],
    );
  });

  it('a denial is recorded although nothing is sampled', async () => {
    const { aud } = decodeJwt(alice);
    const carol = await chain.provider.mint({ sub: 'carol', ...(aud !== undefined && { aud }) });
    const answer = await call(['Authorization', `Bearer ${carol}`]);
    assert.equal(answer.status, 403);
    const denial = await collector.find('the denial', ({ attributes }) => attributes['postern.decision'] === 'deny');
    assert.equal(denial.attributes['postern.reason'], 'not_allowed');
    assert.equal(denial.attributes['http.response.status_code'], 403);
    await collector.find(
      'what was done before',
      ({ name, parentSpanId }) => name === 'authenticate' && parentSpanId === denial.spanId,
    );
  });

  it('the fields of the lines that say so are documented', async () => {
    assertDocumented(await chain.logs());
  });
});

function ancestors(span: CollectedSpan, all: readonly CollectedSpan[]): CollectedSpan[] {
  const path: CollectedSpan[] = [];
  for (let at: CollectedSpan | undefined = span; at !== undefined; ) {
    const { parentSpanId }: CollectedSpan = at;
    at = all.find(({ spanId }) => spanId === parentSpanId);
    if (at !== undefined) path.push(at);
  }
  return path;
}
