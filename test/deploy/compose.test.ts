import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startAccessTeam } from '../support/compose/access-team.ts';
import { startFolder } from '../support/compose/folder.ts';
import { skipSlow, TRIED, trialOf } from '../support/compose/trials.ts';

const CHECK = fileURLToPath(new URL('../../deploy/check/check.mjs', import.meta.url));
const run = promisify(execFile);

/** Of the parts of Prometheus' answer to a query that are looked at. */
interface Vector {
  readonly data: {
    readonly result: ReadonlyArray<{
      readonly metric: { readonly job: string };
      readonly value: readonly [number, string];
    }>;
  };
}

/** Those of which more is asked than their check script does. */
const APART = new Set(['grafana', 'cloudflare-access']);

describe('the compose files of deploy/', () => {
  const end: Array<() => unknown> = [];
  afterEach(async function () {
    this.timeout(60_000);
    for (const stop of end.splice(0)) await stop();
  });

  for (const name of TRIED.filter((one) => !APART.has(one)))
    it(`${name} starts, and its check script finds nothing wrong`, async function () {
      skipSlow(this, name);
      // The first run of some installs what they need, which has a time limit of its own.
      this.timeout(900_000);
      const trial = trialOf(name);
      end.unshift(() => trial.stop());
      const running = await startFolder(this, name, trial);
      end.unshift(() => running.stop());
      await running.check(trial.check);
    });

  it('grafana starts with a stand-in for Grafana, which is told who is there; Prometheus reads both processes', async function () {
    this.timeout(400_000);
    const running = await startFolder(this, 'grafana');
    end.unshift(() => running.stop());
    await running.check();
    const source = await readFile(`${running.copy.folder}/datasources.yaml`, 'utf8');
    const [, prometheus] = /\burl: (\S+)/.exec(source) ?? [];
    await untilScraped(new URL('/api/v1/query?query=up', prometheus), ['postern-forward-auth', 'postern-relay']);
  });

  it('cloudflare-access starts with keys of the test, and believes what Access signed for its application only', async function () {
    this.timeout(400_000);
    const team = await startAccessTeam();
    end.unshift(() => team.stop());
    const running = await startFolder(this, 'cloudflare-access', {
      // The tunnel needs an account of Cloudflare.
      without: ['cloudflared'],
      prepare: team.adopt,
    });
    end.unshift(() => running.stop());
    await running.check();

    const statusFor = async (audience: string) =>
      initialize(running.copy.port(4444), { 'Cf-Access-Jwt-Assertion': await team.assertion(audience) });
    assert.equal(await statusFor('4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2'), 200);
    assert.equal(await statusFor('another application'), 401);
  });
});

describe('the check script of deploy/', () => {
  it('finds every hole of a gate that lets everybody in', async () => {
    const open = createServer((_request, response) => response.end('{}'));
    open.listen(0, '127.0.0.1');
    await once(open, 'listening');
    try {
      const { port } = open.address() as AddressInfo;
      const address = `http://127.0.0.1:${port}`;
      const args = [CHECK, '--edge', address, '--relay', address, '--challenge', 'bare'];
      const { code, stdout } = (await run(process.execPath, args).catch((error) => error)) as {
        code: number;
        stdout: string;
      };
      assert.equal(code, 1, stdout);
      assert.equal(stdout.match(/^FAIL /gm)?.length, 8, stdout);
      for (const what of ['without a session', 'written by the client', 'relay itself'])
        assert.match(stdout, new RegExp(`^FAIL .*${what}`, 'm'));
    } finally {
      open.close();
    }
  });
});

/** Waits until Prometheus has read all of these jobs. */
async function untilScraped(query: URL, jobs: readonly string[]): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(500)) {
    const { data } = (await (await fetch(query)).json()) as Vector;
    const up = data.result.filter(({ value: [, value] }) => value === '1').map(({ metric }) => metric.job);
    if (jobs.every((job) => up.includes(job))) return;
    if (Date.now() > end) assert.fail(`read: ${up.join(', ')}`);
  }
}

/** @returns the status of the first request to an MCP server */
async function initialize(port: number, headers: Readonly<Record<string, string>>): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/servers/everything/mcp`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    }),
  });
  await answer.body?.cancel();
  return answer.status;
}
