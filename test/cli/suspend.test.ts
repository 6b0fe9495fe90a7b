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

describe('postern unsuspend', () => {
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

  async function unsuspend(auth: Answer, relay: Answer): Promise<{ code: number; out: string; err: string }> {
    const file = join(folder, 'postern.yaml');
    const content = {
      auth: { internalListen: await processThatSays(auth), operatorToken: TOKEN },
      relay: { internalListen: await processThatSays(relay), operatorToken: TOKEN },
    };
    writeFileSync(file, JSON.stringify(content));
    const [out, err]: [string[], string[]] = [[], []];
    const code = await main(['unsuspend', '--user', 'bob', '--config', file], {
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
});
