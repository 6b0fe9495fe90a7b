import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { ask, endAll, type RelayUnderTest, relay } from '../support/relay.ts';
import { adminRelay, forwardAuth, HOSTILE, look, read, SIGNED_IN, say, toolServer } from './support/admin.ts';

interface Document {
  readonly info: { readonly version: string };
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { operationId: string; responses: Record<string, { content: Record<string, { schema: object }> }> }
        >
      >
    >
  >;
  readonly components: { readonly schemas: Record<string, object> };
}

const DOCUMENT = '/admin/api/openapi.json';

describe('admin API', () => {
  let under: RelayUnderTest;
  let document: Document;

  before(async () => {
    const one = await toolServer([
      { name: 'add', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
      { name: HOSTILE, inputSchema: { type: 'object' } },
    ]);
    under = await adminRelay({
      admin: { ...ADMIN, forwardAuth: (await forwardAuth()).access },
      servers: { one: { url: one }, away: { url: 'http://127.0.0.1:1/mcp' } },
      policy: { rules: [{ effect: 'deny', tools: ['secret_*'] }, { who: { users: ['ann'] } }] },
      pins: { servers: ['one'] },
      rateLimits: [{ by: 'user', limit: 100, per: '1m' }],
    });
    await say(under.port, 'ann', { method: 'tools/list' });
    await say(under.port, 'ann', { method: 'tools/call', params: { name: 'add', arguments: { token: 'hunter2' } } });
    await say(under.port, 'ann', { method: 'tools/call', params: { name: 'secret_thing' } });
    await say(under.port, 'eve', { method: 'tools/list' });
    await say(under.port, 'ann', { method: 'tools/list' }, 'away');
    document = await read(under.port, DOCUMENT);
  });

  after(endAll);

  it('is described by a valid OpenAPI 3.1 document', async () => {
    const validated = await new Validator().validate({ ...(JSON.parse(JSON.stringify(document)) as object) });
    assert.equal(validated.valid, true, JSON.stringify(validated.errors));
  });

  it('is written down in docs', async () => {
    const file = new URL('../../../docs/admin-openapi.json', import.meta.url);
    const { version, ...info } = document.info;
    const expected = { ...document, info: { ...info, version: '0' } };
    if (process.env.POSTERN_PICTURES !== undefined) await writeFile(file, `${JSON.stringify(expected, null, 2)}\n`);
    assert.match(version, /^\d+\.\d+\.\d+/);
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), expected);
  });

  it('calls users by what their credential says, however little of it is written into logs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-'));
    const { port, logs } = await adminRelay(
      {
        servers: { one: { url: await toolServer([]) } },
        policy: { rules: [{ effect: 'deny', tools: ['secret_*'] }, { who: 'anyone-signed-in' }] },
      },
      { userNames: [], audit: { file: { path: join(folder, '{process}.log') } } },
    );
    for (const [user, extra, called] of [
      ['u-1', ['X-Authenticated-Name', 'Ann Able'], 'Ann Able'],
      ['u-2', ['X-Authenticated-Email', 'bea@example.com'], 'bea@example.com'],
      ['u-3', ['X-Authenticated-Name', 'Cy', 'X-Authenticated-Email', 'cy@example.com'], 'Cy'],
      ['u-4', [], undefined],
    ] as const) {
      await say(port, user, { method: 'tools/call', params: { name: 'secret_thing' } }, 'one', [...extra]);
      for (const page of ['activity', 'denials']) {
        const { text } = await look(port, `/admin/${page}?user=${user}`);
        const shown =
          called === undefined ? `<td[^>]*>${user}<` : `<span>${called} <span class="user">${user}</span></span>`;
        assert.match(text, new RegExp(shown), page);
      }
      if (called === undefined) continue;
      const { entries } = await read<{ entries: Array<{ user: string }> }>(
        port,
        `/admin/api/denials?user=${encodeURIComponent(called)}`,
      );
      assert.deepEqual(
        entries.map((entry) => entry.user),
        [user],
      );
    }
    assert.doesNotMatch((await readFile(join(folder, 'relay.log'), 'utf8')) + logs.join(''), /Ann Able|bea@|cy@/);
  });

  it('answers every GET as described', async () => {
    const seen: string[] = [];
    for (const [path, methods] of Object.entries(document.paths)) {
      if (methods.get === undefined || path.endsWith('/stream')) continue;
      const target = path.replace('{server}', 'one') + (QUERIES[path] ?? '');
      const answer = await look(under.port, target);
      const schema =
        methods.get.responses[String(answer.status)]?.content[mediaType(answer.headers['content-type'])]?.schema;
      assert.ok(schema, `${target}: ${answer.status} ${answer.text}`);
      assertFits(document, schema, JSON.parse(answer.text), target);
      assert.equal(answer.headers['cache-control'], 'no-store', target);
      seen.push(methods.get.operationId);
    }
    assert.ok(seen.length >= 4);
  });

  it('answers whatever changes something as described, and no operation is left out', async () => {
    const seen = new Set<string>();
    for (const [method, template, path, body] of CHANGES) {
      const operation = document.paths[`/admin/api${template}`]?.[method.toLowerCase()];
      const answer = await ask(under.port, {
        method,
        path: `/admin/api${path}`,
        headers: SIGNED_IN,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const type = mediaType(answer.headers['content-type']);
      const schema = operation?.responses[String(answer.status)]?.content[type]?.schema;
      assert.ok(operation && schema, `${method} ${path}: ${answer.status} ${answer.text}`);
      assertFits(document, schema, JSON.parse(answer.text), path);
      seen.add(operation.operationId);
    }
    const described = Object.values(document.paths).flatMap((methods) =>
      Object.entries(methods).flatMap(([method, { operationId }]) => (method === 'get' ? [] : [operationId])),
    );
    assert.deepEqual([...seen].sort(), described.sort());
  });

  it('answers problems as described', async () => {
    const problem = document.components.schemas.Problem as object;
    for (const [path, status, headers] of [
      ['/admin/api/servers', 401, []],
      ['/admin/api/servers', 403, [...SIGNED_IN, 'Origin', 'https://attacker.example']],
      ['/admin/api/activity?limit=never', 400, SIGNED_IN],
      ['/admin/api/servers/none', 404, SIGNED_IN],
      ['/admin/api/nothing', 404, SIGNED_IN],
    ] as const) {
      const answer = await look(under.port, path, [...headers]);
      assert.equal(answer.status, status, path);
      assert.equal(answer.headers['content-type'], 'application/problem+json', path);
      assertFits(document, problem, JSON.parse(answer.text), path);
    }
  });

  it('tells how servers are', async () => {
    const { servers } = await read<{ servers: Array<Record<string, unknown>> }>(under.port, '/admin/api/servers');
    const [one, away] = servers as [Record<string, unknown>, Record<string, unknown>];
    assert.equal(one.health, 'answering');
    assert.deepEqual(one.tools, { known: 2, heldBack: 0, complete: true });
    assert.ok((one.latency as { medianMs: number }).medianMs >= 0);
    assert.deepEqual(one.requests, { relayed: 2, refused: 2, failed: 0 });
    assert.equal(away.health, 'failing');
  });

  it('tells what tools a server has', async () => {
    const { tools } = await read<{ tools: Array<Record<string, unknown>> }>(under.port, '/admin/api/servers/one');
    const add = tools.find(({ name }) => name === 'add');
    assert.equal(add?.readOnly, true);
    assert.equal(add?.pin, 'first-seen');
    assert.deepEqual(add?.calls, { relayed: 1, refused: 0, failed: 0 });
    assert.ok(tools.some(({ name }) => name === HOSTILE));
  });

  it('tells what happened, and never an argument', async () => {
    const answer = await look(under.port, '/admin/api/activity?user=ann&event=tool_call');
    const { entries } = JSON.parse(answer.text) as { entries: Array<Record<string, unknown>> };
    assert.deepEqual(
      entries.map(({ object, outcome }) => [object, outcome]),
      [['add', 'relayed']],
    );
    assert.doesNotMatch(answer.text, /hunter2/);
  });

  it('tells what was refused and by which rule', async () => {
    const { entries, reasons } = await read<{ entries: Array<Record<string, unknown>>; reasons: object[] }>(
      under.port,
      '/admin/api/denials',
    );
    assert.ok(entries.some(({ object, rule }) => object === 'secret_thing' && rule === 'relay.policy.rules[0]'));
    assert.ok(entries.some(({ user }) => user === 'eve'));
    assert.ok(reasons.length > 0);
  });

  it('has no other way to a path', async () => {
    for (const path of [
      '//admin',
      '/%61dmin',
      '/admin/../admin',
      '/admin//activity',
      '/admin/%2e%2e/admin',
      '/admin/api/servers/../activity',
      '/admin;x',
      '/ADMIN',
      '/servers/one/../../admin',
    ])
      assert.notEqual((await look(under.port, path)).status, 200, path);
  });

  it('is not there where it is switched off', async () => {
    const { port } = await adminRelay({ admin: { ...ADMIN, api: false } });
    assert.equal((await look(port, '/admin/api/servers')).status, 404);
    assert.equal((await look(port, '/admin')).status, 200);
    const apiOnly = await adminRelay({ admin: { ...ADMIN, pages: false, api: true } });
    assert.equal((await look(apiOnly.port, '/admin/api/servers')).status, 200);
    assert.equal((await look(apiOnly.port, '/admin')).status, 404);
  });

  it('follows what happens', async () => {
    const abort = new AbortController();
    const stream = await fetch(`http://127.0.0.1:${under.port}/admin/api/activity/stream`, {
      headers: { Authorization: SIGNED_IN[1] as string },
      signal: abort.signal,
    });
    assert.equal(stream.headers.get('content-type'), 'text/event-stream');
    await say(under.port, 'live-user', { method: 'tools/list' });
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of stream.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes('live-user')) break;
    }
    abort.abort();
    assert.match(text, /\ndata: \{.*"user":"live-user"/);
  });

  it('bounds the streams, and ends them when the relay ends', async () => {
    const other = await adminRelay({}, { drain: '10s' });
    const open = await Promise.all(
      Array.from({ length: 33 }, () =>
        fetch(`http://127.0.0.1:${other.port}/admin/api/activity/stream`, {
          headers: { Authorization: SIGNED_IN[1] as string },
        }),
      ),
    );
    assert.equal(open.filter(({ status }) => status === 429).length, 1);
    const closed = other.close();
    await Promise.all(open.map((response) => response.text()));
    await closed;
  });

  it('takes nothing that changes something from a page of another site', async () => {
    for (const extra of [
      ['Origin', 'https://attacker.example'],
      ['Origin', 'null'],
      ['Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-Mode', 'no-cors'],
    ]) {
      const answer = await ask(under.port, {
        path: '/admin/api/servers',
        headers: [...SIGNED_IN, ...extra],
        body: '{}',
      });
      assert.equal(answer.status, 403, extra.join());
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
  });

  it('lets no origin read it that may use MCP servers', async () => {
    const allowed = 'https://inspector.example';
    const { port } = await relay({ trust: { enabled: true }, admin: ADMIN, allowedOrigins: [allowed] });
    const answer = await look(port, '/admin/api/servers', [...SIGNED_IN, 'Origin', allowed]);
    assert.equal(answer.status, 403);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  });
});

const ADMIN = { user: 'operator', password: 'correct-horse-battery-9' };

/** Method, path as described, path, body. */
const CHANGES: ReadonlyArray<readonly [string, string, string, object?]> = [
  ['POST', '/policy/explain', '/policy/explain', { server: 'one', user: 'ann', object: 'add' }],
  ['POST', '/policy/explain', '/policy/explain', { server: 'none' }],
  ['POST', '/policy/explain', '/policy/explain', { server: 7 }],
  ['POST', '/pins/approve', '/pins/approve', { server: 'one', tool: 'add', hash: 'none' }],
  ['POST', '/pins/reject', '/pins/reject', { server: 'one', tool: 'add', hash: 'none' }],
  ['DELETE', '/sessions/{key}', '/sessions/laptop'],
  ['DELETE', '/sessions/{key}', '/sessions/laptop'],
  ['DELETE', '/streams/{id}', '/streams/none'],
  ['DELETE', '/sessions', '/sessions?issuer=https%3A%2F%2Fidp.example.com&subject=ann'],
];

/** Where an operation needs more than its path. */
const QUERIES: Readonly<Record<string, string>> = {
  '/admin/api/sessions': '?issuer=https%3A%2F%2Fidp.example.com&subject=ann',
};

function mediaType(contentType: string | string[] | undefined): string {
  return String(contentType).split(';', 1)[0] as string;
}

function assertFits(document: Document, schema: object, value: unknown, what: string): void {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const validate = ajv.compile({ ...JSON.parse(JSON.stringify(schema)), components: document.components });
  assert.ok(validate(value), `${what}: ${JSON.stringify(validate.errors)} ${JSON.stringify(value).slice(0, 300)}`);
}
