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
  const run = traced(
    'traefik',
    ({ url }) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20tenant',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      // Nothing but what the proxy keeps, and what is refused.
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    }),
    traceTraefik,
  );

  it('is one, from the edge to the MCP server, with the right parents', async () => {
    const answer = await run.call(run.bearer(), { arguments: { secret: SECRET }, _meta: { progressToken: 7 } });
    assert.equal(answer.status, 200);
    const seen = run.chain.echo.seen.find(({ body }) => body.includes(SECRET));
    assert.ok(seen);
    const traceparent = seen.rawHeaders[seen.rawHeaders.findIndex((name) => name.toLowerCase() === 'traceparent') + 1];
    const [, traceId = '', spanId = '', flags] = (traceparent ?? '').split('-');
    assert.equal(flags, '01');
    const of = (service: string, name: string) =>
      run.collector.find(
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
    const edge = await run.collector.find('the edge', (span) => span.traceId === traceId && span.parentSpanId === '');
    assert.equal(edge.service, 'edge');
    for (const ours of [relay, check]) {
      const path = ancestors(ours, run.collector.spans);
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
    assert.equal(relay.sentWith['x-tenant'], 'a tenant');
  });

  it('says nothing of tokens, arguments, queries and people', async () => {
    const ours = JSON.stringify(run.collector.spans.filter(({ service }) => service.startsWith('postern')));
    for (const secret of [run.alice, SECRET, 'alice', 'q=1']) assert.ok(!ours.includes(secret), secret);
  });

  it('leads from log lines of both processes to it', async () => {
    const { traceId } = await run.collector.find('a check', ({ name }) => name === 'GET /verify/traefik');
    const lines = (await run.chain.logs()).split('\n').filter((line) => line.includes(traceId));
    for (const process of ['forward-auth', 'relay'])
      assert.ok(
        lines.some((line) => line.includes(`"process":"${process}"`) && /"span_id":"[0-9a-f]{16}"/.test(line)),
        process,
      );
  });

  it('and the fields of these lines are documented', async () => {
    assertDocumented(await run.chain.logs());
  });
});

describe('a trace through the real Envoy, asking over gRPC', () => {
  const run = traced(
    'envoy-grpc',
    ({ url }) => ({
      POSTERN_TRACING_ENDPOINT: url,
      POSTERN_TRACING_FROM_PROXY: 'sampling',
      POSTERN_TRACING_SAMPLE: '0',
    }),
    traceEnvoy,
  );

  it('has the check and the relay below it', async () => {
    const answer = await run.call(run.bearer());
    assert.equal(answer.status, 200);
    const relay = await run.collector.find('the relay', ({ name }) => name === 'POST /servers/{server}/mcp');
    const check = await run.collector.find(
      'the check',
      ({ name, traceId }) => name === 'envoy.service.auth.v3.Authorization/Check' && traceId === relay.traceId,
    );
    assert.equal(check.attributes['postern.decision'], 'allow');
    assert.equal(check.attributes['postern.proxy'], 'envoy-grpc');
    const edge = await run.collector.find(
      'the edge',
      ({ service, parentSpanId, traceId }) => service === 'edge' && parentSpanId === '' && traceId === relay.traceId,
    );
    for (const ours of [relay, check]) {
      const parent = await run.collector.find('its parent', ({ spanId }) => spanId === ours.parentSpanId);
      assert.equal(parent.service, 'edge');
      assert.equal(ancestors(ours, run.collector.spans).at(-1), edge);
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
  const run = traced('traefik', ({ url }) => ({ POSTERN_TRACING_ENDPOINT: url, POSTERN_TRACING_SAMPLE: '0' }));

  it('a client cannot have its requests recorded, and what it invents reaches no server', async () => {
    const mine = `00-${INVENTED}-b7ad6b7169203331-01`;
    const answer = await run.call(
      [...run.bearer(), 'traceparent', mine, 'tracestate', 'a=b', 'baggage', 'user=alice'],
      { _meta: { traceparent: mine, baggage: 'user=alice' } },
    );
    assert.equal(answer.status, 200);
    const seen = run.chain.echo.seen.at(-1);
    assert.ok(seen);
    assert.ok(!`${seen.rawHeaders}${seen.body}`.includes('b7ad6b7169203331'));
    assert.ok(!`${seen.rawHeaders}${seen.body}`.includes('baggage'));
    assert.match(JSON.parse(seen.body).params._meta.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    // What comes after it has arrived, so it would have too.
    await run.call(['Authorization', 'Bearer eyJhbGciOiJSUzI1NiJ9.e30.bm8']);
    await run.collector.find('the refusal', ({ attributes }) => attributes['postern.decision'] === 'challenge');
    assert.deepEqual(
      run.collector.spans.filter(({ attributes }) => attributes['postern.decision'] === 'allow'),
      [],
    );
  });

  it('a denial is recorded although nothing is sampled', async () => {
    const { aud } = decodeJwt(run.alice);
    const carol = await run.chain.provider.mint({ sub: 'carol', ...(aud !== undefined && { aud }) });
    const answer = await run.call(['Authorization', `Bearer ${carol}`]);
    assert.equal(answer.status, 403);
    const denial = await run.collector.find(
      'the denial',
      ({ attributes }) => attributes['postern.decision'] === 'deny',
    );
    assert.equal(denial.attributes['postern.reason'], 'not_allowed');
    assert.equal(denial.attributes['http.response.status_code'], 403);
    await run.collector.find(
      'what was done before',
      ({ name, parentSpanId }) => name === 'authenticate' && parentSpanId === denial.spanId,
    );
  });

  it('the fields of the lines that say so are documented', async () => {
    assertDocumented(await run.chain.logs());
  });
});

interface Traced {
  chain: Chain;
  collector: Collector;
  /** Her token for the server `echo`. */
  alice: string;
  bearer(): string[];
  /** A tool call through the proxy. */
  call(headers: readonly string[], params?: object): Promise<RawAnswer>;
}

/** A whole chain that sends its traces to a collector, for one `describe`. */
function traced(
  proxy: 'traefik' | 'envoy-grpc',
  settings: (collector: Collector) => Record<string, string>,
  prepare: (folder: string, collector: string) => Promise<void> = async () => {},
): Traced {
  const run = {
    bearer: () => ['Authorization', `Bearer ${run.alice}`],
    call: (headers, params = {}) =>
      rawRequest(run.chain.ports.edge, '/servers/echo/mcp?q=1', {
        method: 'POST',
        headers: [...MCP, ...headers],
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', ...params } }),
      }),
  } as Traced;
  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, proxy === 'traefik' ? 'traefik' : 'envoy');
    run.collector = await startCollector();
    const { url } = run.collector;
    run.chain = await startChain(proxy, program, settings(run.collector), (folder) => prepare(folder, url));
    run.alice = await run.chain.token('alice', 'echo');
  });
  after(async function () {
    this.timeout(60_000);
    await run.chain?.stop();
    await run.collector?.stop();
  });
  return run;
}

async function traceTraefik(folder: string, collector: string): Promise<void> {
  const tracing = { serviceName: 'edge', sampleRate: 1, otlp: { http: { endpoint: `${collector}/v1/traces` } } };
  await appendFile(join(folder, 'traefik.yaml'), `\ntracing: ${JSON.stringify(tracing)}\n`);
}

function ancestors(span: CollectedSpan, all: readonly CollectedSpan[]): CollectedSpan[] {
  const path: CollectedSpan[] = [];
  for (let at: CollectedSpan | undefined = span; at !== undefined; ) {
    const { parentSpanId }: CollectedSpan = at;
    at = all.find(({ spanId }) => spanId === parentSpanId);
    if (at !== undefined) path.push(at);
  }
  return path;
}
