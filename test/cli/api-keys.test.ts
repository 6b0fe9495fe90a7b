import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { main } from '../../src/cli/main.ts';
import { ApiKeys } from '../../src/forward-auth/api-keys/api-keys.ts';
import { parseApiKey } from '../../src/forward-auth/api-keys/key-format.ts';
import { apiKeyRoutes } from '../../src/forward-auth/operator/api-key-routes.ts';
import { drain, listen } from '../../src/platform/http.ts';
import { createInternalServer } from '../../src/platform/internal-listener.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createOperatorApi } from '../../src/platform/operator-api.ts';
import { Readiness } from '../../src/platform/readiness.ts';
import { SharedStore } from '../forward-auth/support/shared-store.ts';

const TOKEN = 'operator-token-of-a-test';

describe('postern api-keys', () => {
  const store = new SharedStore();
  let server: Server;
  let port: number;
  let keys: ApiKeys;

  before(async () => {
    const log = createLogger('auth', 'silent');
    const { stores } = store.replica();
    keys = new ApiKeys({
      stores,
      ended: { end: async () => {} },
      log,
      now: Date.now,
      cacheTtl: 1_000,
      issuer: 'x',
      servers: ['github'],
    });
    const api = createOperatorApi({ token: [TOKEN], routes: apiKeyRoutes(keys, false), log });
    server = createInternalServer(new Registry(), new Readiness({}), { operator: api });
    port = await listen(server, { host: '127.0.0.1', port: 0 });
  });
  after(async () => {
    keys.close();
    await drain(server, 0);
  });

  async function run(args: string[], env: Record<string, string> = {}) {
    const out: string[] = [];
    const err: string[] = [];
    const code = await main(['api-keys', ...args], {
      env: { POSTERN_AUTH_INTERNAL_LISTEN: `127.0.0.1:${port}`, POSTERN_AUTH_OPERATOR_TOKEN: TOKEN, ...env },
      print: (text) => void out.push(text),
      printError: (text) => void err.push(text),
    });
    return { code, out, err: err.join('\n') };
  }

  it('makes, lists and revokes a key', async () => {
    const made = await run(['create', '--user', 'ci', '--groups', 'a,b', '--servers', 'github', '--expires', '90d']);
    assert.equal(made.code, 0, made.err);
    assert.equal(made.out.length, 1);
    const parts = parseApiKey(made.out[0] as string);
    assert.ok(parts !== undefined);
    assert.match(made.err, /not shown again\nwarning: kept in memory/);
    const good = await keys.verify(parts);
    assert.deepEqual(good?.identity.groups, ['a', 'b']);
    const listed = await run(['list']);
    assert.equal(JSON.parse(listed.out[0] as string).id, parts.id);
    assert.ok(!listed.out.join().includes(parts.secret));
    assert.deepEqual((await run(['revoke', parts.id])).out, [`${parts.id} revoked`]);
    assert.equal(await keys.verify(parts), undefined);
    const again = await run(['revoke', parts.id]);
    assert.equal(again.code, 1);
    assert.match(again.err, /no such API key/);
    assert.match((await run(['list'])).err, /no API keys/);
  });

  it('says what is wrong', async () => {
    for (const [args, code, message, env] of [
      [['make'], 64, /no `api-keys make`/],
      [['create'], 64, /--user SUBJECT/],
      [['create', '--user', 'a', '--expires', 'soon'], 64, /--expires needs a duration/],
      [['revoke'], 64, /which key/],
      [['revoke', 'pst_x'], 64, /never the key itself/],
      [['create', '--user', 'a', '--servers', 'nope'], 1, /no MCP server "nope"/],
      [['create', '--user', 'a', '--scopes', '"'], 1, /scopes\.0/],
      [['list'], 1, /refuses: send Authorization/, { POSTERN_AUTH_OPERATOR_TOKEN: 'another' }],
      [['list'], 1, /is it running/, { POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:1' }],
    ] as Array<[string[], number, RegExp, Record<string, string>?]>) {
      const answer = await run(args, env);
      assert.equal(answer.code, code, `${args.join(' ')}: ${answer.err}`);
      assert.match(answer.err, message);
    }
  });

  it('takes no body that is no JSON, or without end', async () => {
    for (const body of ['{', 'x'.repeat(70_000), 'null', '[]']) {
      const answer = await fetch(`http://127.0.0.1:${port}/api-keys`, {
        method: 'POST',
        body,
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      assert.ok([400, 413].includes(answer.status), body.slice(0, 9));
    }
  });
});
