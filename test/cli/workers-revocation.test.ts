import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { type CallbackPage, openCallbackPage } from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../forward-auth/mcp-authorization/support/raw-client.ts';
import { AUDIENCE, type Gate, startGate } from '../support/gate-replicas.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const OPERATOR = 'the operator of the revoking workers';
const WORKERS = 2;
/** Dealt to the workers in turn: each has several. */
const CONNECTIONS = 6;

type Credential = Readonly<Record<string, string>>;

describe('what is taken away at one worker', function () {
  this.timeout(60_000);
  let redis: RedisServer;
  let gate: Gate;
  let callback: CallbackPage;
  let folder: string;
  let internal: string;
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    folder = mkdtempSync(join(tmpdir(), 'postern-workers-revocation-'));
    callback = await openCallbackPage();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    gate = await startGate(1, {
      redis: { url: redis.url },
      auth: {
        workers: WORKERS,
        operatorToken: OPERATOR,
        assertion: { keys: JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }) },
        sessions: { keys: randomBytes(32).toString('base64url') },
        apiKeys: {},
        broker: {},
        rules: [
          { match: { path: '/app/**' }, allow: 'anyone-signed-in' },
          { match: { path: '/servers/**' }, allow: 'anyone-signed-in', scopes: { default: ['mcp:use'] } },
        ],
      },
      whole: {
        audit: { file: { path: join(folder, '{process}.jsonl') } },
        relay: { servers: { github: { url: 'http://127.0.0.1:9/mcp' } } },
      },
    });
    internal = gate.replicas[0]?.internal as string;
    await until('all workers serve', () => gate.replicas[0]?.child.output.includes('all workers serve') === true);
  });
  after(async () => {
    for (const agent of agents) agent.destroy();
    await gate?.stop();
    await callback?.stop();
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** @returns the status on each connection, all asked at once */
  const statuses = (credential: Credential, path = '/app/page') =>
    Promise.all(
      agents.map(async (agent) => {
        const headers = {
          'X-Forwarded-Method': 'GET',
          'X-Forwarded-Proto': 'http',
          'X-Forwarded-Host': new URL(gate.publicUrl).host,
          'X-Forwarded-Uri': path,
          'X-Forwarded-For': '127.0.0.1',
          ...credential,
        };
        const { hostname, port } = new URL(gate.publicUrl);
        const asked = request({ host: hostname, port, path: '/verify/traefik', headers, agent }).end();
        const [answer] = await once(asked, 'response');
        answer.resume();
        await once(answer, 'end');
        return answer.statusCode as number;
      }),
    );
  /** @returns of each worker, how many checks it has let through and how many it has not */
  const audited = () =>
    Array.from({ length: WORKERS }, (_, at) => {
      const lines = readFileSync(join(folder, `forward-auth-${at + 1}.jsonl`), 'utf8').split('\n');
      const decisions = lines.filter((line) => /"event":"(?:decision|denial)"/.test(line));
      const allowed = decisions.filter((line) => line.includes('"outcome":"allow"')).length;
      return { allowed, refused: decisions.length - allowed };
    });
  const operate = async (method: string, path: string, body?: object) => {
    const answer = await fetch(internal + path, {
      method,
      headers: { Authorization: `Bearer ${OPERATOR}`, 'Content-Type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  /** Every worker knows the credential, and none does any more. */
  async function revoked(credential: Credential, revoke: () => Promise<unknown>, path?: string): Promise<void> {
    const before = audited();
    for (let round = 0; round < 3; round++) assert.deepEqual([...new Set(await statuses(credential, path))], [200]);
    await revoke();
    const after = await statuses(credential, path);
    assert.ok(!after.includes(200), `let through by one of the workers: ${after}`);
    await until('each worker was asked before and after', () =>
      audited().every(({ allowed, refused }, at) => {
        const { allowed: allowedBefore = 0, refused: refusedBefore = 0 } = before[at] ?? {};
        return allowed > allowedBefore && refused > refusedBefore;
      }),
    );
  }

  it('a session that an operator ends', async () => {
    const { cookie } = await gate.signIn('alice');
    const { sessions } = await operate('GET', '/sessions');
    await revoked({ Cookie: cookie }, () => operate('DELETE', `/sessions/${sessions[0].key}`));
  });

  it('a session that its user ends', async () => {
    const { person, cookie } = await gate.signIn('bob');
    await revoked({ Cookie: cookie }, async () =>
      person.submit(await person.visit(`${gate.publicUrl}/_postern/sign-out`)),
    );
  });

  it('an API key', async () => {
    const { key, id } = await operate('POST', '/api-keys', { subject: 'ci' });
    await revoked({ Authorization: `Bearer ${key}` }, () => operate('DELETE', `/api-keys/${id}`));
  });

  it('a token of an application', async () => {
    const place = { issuer: gate.publicUrl, resource: (name: string) => `${gate.publicUrl}/servers/${name}/mcp` };
    const client = await RawClient.register(place, callback.url);
    const { access_token } = await client.tokens();
    await revoked(
      { Authorization: `Bearer ${access_token}` },
      () => operate('DELETE', `/oauth/grants?client=${client.id}`),
      '/servers/github/mcp',
    );
  });

  it('a token of the provider whose user is suspended', async () => {
    const token = await gate.provider.mint({ sub: 'carol', aud: AUDIENCE });
    await revoked({ Authorization: `Bearer ${token}` }, () => operate('POST', '/suspensions', { user: 'carol' }));
    await operate('DELETE', '/suspensions?user=carol');
    await until('every worker knows', async () =>
      (await statuses({ Authorization: `Bearer ${token}` })).every((one) => one === 200),
    );
  });
});
