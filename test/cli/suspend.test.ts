import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../src/cli/main.ts';

const TOKEN = 'operator-token-of-this-test-0123456789';
const UNKNOWN = { status: 404, body: { error_description: 'there is no suspension of this user' } };

interface Answer {
  readonly status: number;
  readonly body: object;
}

describe('postern unsuspend and suspend', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-suspend-'));
  const servers: Server[] = [];
  after(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function processThatSays({ status, body }: Answer): Promise<string> {
    const server = createServer((_request, response) => {
      response.writeHead(status, { Connection: 'close' }).end(JSON.stringify(body));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function nothing(): Promise<string> {
    const address = await processThatSays(UNKNOWN);
    servers.pop()?.close();
    return address;
  }

  async function unsuspend(auth: Answer, relay: Answer) {
    return run(['unsuspend', '--user', 'bob'], await processThatSays(auth), {
      internalListen: await processThatSays(relay),
      operatorToken: TOKEN,
    });
  }

  async function run(
    command: readonly string[],
    auth: string,
    relay: object,
  ): Promise<{ code: number; out: string; err: string }> {
    const file = join(folder, 'postern.yaml');
    const content = {
      auth: { internalListen: auth, operatorToken: TOKEN },
      relay: { servers: { one: { url: 'http://127.0.0.1:9/mcp' } }, sessionKey: 'A'.repeat(43), ...relay },
    };
    writeFileSync(file, JSON.stringify(content));
    const [out, err]: [string[], string[]] = [[], []];
    const code = await main([...command, '--config', file], {
      env: {},
      print: (text) => out.push(text),
      printError: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  it('complains of no process where the user was not suspended, if another let them in', async () => {
    for (const shared of [true, false]) {
      const lifted = { status: 200, body: { lifted: true, shared } };
      const done = { code: 0, out: 'the user may sign in again', err: '' };
      assert.deepEqual(await unsuspend(lifted, UNKNOWN), done);
      assert.deepEqual(await unsuspend(UNKNOWN, lifted), done);
    }
  });

  it('fails where no process knows of a suspension, and says what another answered', async () => {
    const { code, out, err } = await unsuspend(UNKNOWN, UNKNOWN);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /forward-auth refuses: there is no suspension/);
    const broken = { status: 503, body: { error_description: 'the session store does not answer' } };
    const half = await unsuspend(UNKNOWN, broken);
    assert.equal(half.code, 1);
    assert.match(half.err, /the relay refuses: the session store does not answer/);
  });

  it('names the process that did not answer, and what lets it answer', async () => {
    const lifted = { status: 200, body: { lifted: true, shared: false } };
    const away = await run(['unsuspend', '--user', 'bob'], await processThatSays(lifted), {
      internalListen: await nothing(),
      operatorToken: TOKEN,
    });
    assert.equal(away.code, 1);
    assert.match(away.err, /not all of them answered: start `postern relay`, or set `redis`/);
    const unset = await run(['unsuspend', '--user', 'bob'], await processThatSays(lifted), {});
    assert.equal(unset.code, 1);
    assert.match(unset.err, /not all of them answered: set relay\.operatorToken, or set `redis`/);
  });

  it('lists a suspension once where each process has its own, and those of one alone', async () => {
    const said = (since: string, ...users: string[]) => ({
      status: 200,
      body: { suspensions: users.map((user) => ({ user, since })) },
    });
    const { code, out } = await run(
      ['suspend', '--list'],
      await processThatSays(said('2026-12-01T09:00:00.000Z', 'https://id.example.com#1', 'bob')),
      {
        internalListen: await processThatSays(said('2026-12-01T09:00:00.010Z', 'bob', 'https://id.example.com#3')),
        operatorToken: TOKEN,
      },
    );
    const users = out.split('\n').map((line) => (JSON.parse(line) as { user: string }).user);
    assert.deepEqual([code, users.sort()], [0, ['bob', 'https://id.example.com#1', 'https://id.example.com#3']]);
  });
});
