import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'mocha';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { ask, endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';

const [OLD, NEW] = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64url')) as [string, string];
const USER = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});
const PING = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'ping' });

const open = async (port: number) => {
  const answer = await ask(port, { headers: USER, body: INITIALIZE });
  assert.equal(answer.status, 200, answer.text);
  return String(answer.headers['mcp-session-id']);
};
const ping = async (port: number, session: string) =>
  (await ask(port, { headers: [...USER, 'Mcp-Session-Id', session], body: PING })).status;

/** As release 0.1 sealed the id `session-of-the-server`. */
function sealedBefore(key: string, server: string, owner: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64url'), iv);
  cipher.setAAD(Buffer.from('postern mcp session 1'));
  const digest = createHash('sha256').update(owner).digest('base64url');
  const text = JSON.stringify([server, 'session-of-the-server', digest]);
  return Buffer.concat([iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

describe('the key of MCP sessions', () => {
  afterEach(endAll);

  it('is replaced while both are known, one after the other, and no session ends', async () => {
    const { url } = await scriptedServer();
    const servers = { one: { url } };
    const [before, between, after, without] = await Promise.all(
      [OLD, `${OLD},${NEW}`, `${NEW}, ${OLD}`, NEW].map((sessionKey) => relay({ servers, sessionKey })),
    );
    assert.ok(before && between && after && without);
    const old = await open(before.port);
    const young = await open(after.port);
    for (const { port } of [before, between, after]) assert.equal(await ping(port, old), 200);
    for (const { port } of [between, after, without]) assert.equal(await ping(port, young), 200);
    assert.equal(await ping(without.port, old), 404);
    assert.equal(await ping(before.port, young), 404);
  });

  it('is read again from its file for an id that another replica has sealed already', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-session-key-'));
    onEnd(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'keys');
    writeFileSync(path, `${OLD}\n`);
    const { url } = await scriptedServer();
    const servers = { one: { url } };
    const running = await relay({ servers, sessionKeyPath: path });
    const old = await open(running.port);
    writeFileSync(path, `# the new one\n${NEW}\n${OLD}\n`);
    const other = await relay({ servers, sessionKey: NEW });
    assert.equal(await ping(running.port, await open(other.port)), 200);
    assert.equal(await ping(running.port, old), 200);
  });

  it('opens ids of the release before, and those of nobody else', async () => {
    const { url } = await scriptedServer();
    const { port } = await relay({ servers: { one: { url }, two: { url } }, sessionKey: `${NEW},${OLD}` });
    const owner = (subject: string) => JSON.stringify(['', '', subject]);
    assert.equal(await ping(port, sealedBefore(OLD, 'one', owner('alice'))), 200);
    assert.equal(await ping(port, sealedBefore(NEW, 'one', owner('alice'))), 200);
    assert.equal(await ping(port, sealedBefore(OLD, 'two', owner('alice'))), 404);
    assert.equal(await ping(port, sealedBefore(OLD, 'one', owner('bob'))), 404);
    assert.equal(await ping(port, sealedBefore(randomBytes(32).toString('base64url'), 'one', owner('alice'))), 404);
  });

  for (const length of [3_000, 6_000, 12_000])
    it(`seals a server’s id of ${length} characters so that it can be opened`, async () => {
      const id = 'x'.repeat(length);
      const { url, seen } = await scriptedServer({
        post: ({ id: asked, method }, response) => {
          if (method !== 'initialize') return false;
          const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
          response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': id });
          response.end(JSON.stringify({ jsonrpc: '2.0', id: asked, result }));
          return true;
        },
      });
      const { port } = await relay({ servers: { one: { url } } });
      assert.equal(await ping(port, await open(port)), 200);
      assert.equal(seen.at(-1)?.headers['mcp-session-id'], id);
    });

  for (const sessionKey of ['', 'short', `${OLD},x`, `${OLD}=${NEW}`])
    it(`is refused at start where it is "${sessionKey.replaceAll(OLD, '<key>').replaceAll(NEW, '<key>')}"`, async () => {
      await assert.rejects(
        relay({ servers: {}, sessionKey }),
        (error) =>
          error instanceof ConfigurationError && /sessionKey/.test(error.message) && !error.message.includes(OLD),
      );
    });
});
