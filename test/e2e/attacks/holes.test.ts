import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEPLOYMENTS, type Deployment } from '../../support/deployment.ts';
import { freePorts } from '../../support/free-port.ts';
import { type Program, programOrSkip } from '../../support/programs.ts';
import { ECHO, type Edit, type Gauntlet, startGauntlet } from './gauntlet.ts';
import type { Hole, Probe, Result } from './holes/hole.ts';
import { HOLES, rowOf } from './holes/holes.ts';
import { type Fields, Http2Client } from './http2-client.ts';
import { breaches, FORGER, leftToTheRelay } from './oracle.ts';
import { startStubAuthorizer } from './stub-authorizer.ts';
import { exchange, written } from './wire.ts';
import type { Seen } from './witness.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
const MCP = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
const TABLE = new URL('../../../docs/proxy-holes.md', import.meta.url);

describe('the lines of deploy/ that close a hole', () => {
  let gauntlet: Gauntlet;

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet();
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
  });

  it('docs/proxy-holes.md lists exactly these', async () => {
    // The page has tables of other things about each proxy after this one.
    const [table = ''] = (await readFile(TABLE, 'utf8')).split('\n## ');
    const rows = table.split('\n').map((row) => row.replace(/ +/g, ' ').trim());
    const listed = rows.filter((row) => Object.keys(DEPLOYMENTS).some((name) => row.startsWith(`| ${name} |`)));
    assert.deepEqual(listed, HOLES.map(rowOf));
  });

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describe(name, function () {
      this.timeout(60_000);
      let program: Program;
      let whole: { port: number };
      /** Some take seconds to end. */
      const ending: Array<Promise<void>> = [];

      before(async function () {
        this.timeout(300_000);
        program = await programOrSkip(this, DEPLOYMENTS[name].program);
        whole = await gauntlet.open(name, program, 'witness');
      });

      after(() => Promise.all(ending));

      /** Sends a probe through a proxy of its own, or through the one with all lines. */
      async function run(probe: Probe, edits: readonly Edit[]): Promise<Result> {
        const { authorizer, patience = 8_000, method = 'POST', target = ECHO, withToken, lines } = probe;
        const stub = authorizer === undefined ? undefined : await startStubAuthorizer(authorizer);
        const [nobody] = (await freePorts(1)) as [number];
        const asked = stub === undefined ? {} : name === 'envoy-grpc' ? { grpc: nobody } : { auth: stub.port };
        const own = stub !== undefined || edits.length > 0;
        const proxy = own ? await gauntlet.open(name, program, 'witness', edits, asked) : undefined;
        const before = gauntlet.witness.seen.length;
        const logged = gauntlet.running.auth.output.length;
        try {
          const token = target.startsWith('/servers/') ? gauntlet.echoToken : gauntlet.token;
          const { port } = proxy ?? whole;
          const own = {
            ':path': target,
            ':method': method,
            ...(withToken === true && { authorization: `Bearer ${token}` }),
          };
          const all = [...(withToken === true ? [`Authorization: Bearer ${token}`] : []), ...lines];
          const bytes =
            method === 'GET'
              ? written({ target, lines: all })
              : written({ method, target, lines: [...MCP, ...all], body: CALL });
          const { status, text } =
            probe.http2 === undefined
              ? await exchange(port, { bytes, patience }).then(({ statuses: [status], text }) => ({ status, text }))
              : { status: await askHttp2(port, { ...own, ...probe.http2 }), text: '' };
          const seen = gauntlet.witness.seen.slice(before);
          const log = () => gauntlet.running.auth.output.slice(logged);
          // A log line may come after the answer.
          if (probe.logged === true) for (let i = 0; i < 100 && !log().includes('"decision"'); i++) await sleep(20);
          return { status, text, seen, asked: stub?.asked ?? [], log: log() };
        } finally {
          if (proxy !== undefined) ending.push(proxy.stop());
          await stub?.stop();
        }
      }

      /** The very request that reached the upstream, sent to the relay by a peer that it trusts. */
      async function atTheRelay({ method, url, rawHeaders }: Seen): Promise<number | undefined> {
        const lines: string[] = [];
        for (let at = 0; at < rawHeaders.length; at += 2)
          if (!/^(content-length|transfer-encoding|host)$/i.test(rawHeaders[at] as string))
            lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
        const host = rawHeaders[rawHeaders.findIndex((text) => /^host$/i.test(text)) + 1] as string;
        const bytes = written({ method, target: url, host, lines, body: CALL });
        return (await exchange(gauntlet.ports.relay, { bytes, patience: 8_000 })).statuses[0];
      }

      async function stillHolds({ still, unnoticed }: Hole, { seen, status }: Result): Promise<void> {
        if (still === 'nothing') return;
        if (still === 'forward-auth') {
          assert.equal(seen.length, 0, 'nothing reached the upstream');
          assert.ok(status !== undefined && status >= 400, `was ${status}`);
          return;
        }
        if (still !== 'assertion' && unnoticed !== true) {
          const noticed = [...(await breaches(seen[0] as Seen, gauntlet.expected)), ...leftToTheRelay(seen[0] as Seen)];
          assert.ok(noticed.length > 0, 'attacks.test.ts would notice');
        }
        const before = gauntlet.echo.seen.length;
        const answered = await atTheRelay(seen[0] as Seen);
        const served = gauntlet.echo.seen.slice(before);
        assert.equal(answered, still === 'assertion' ? 200 : still);
        assert.equal(served.length, still === 'assertion' ? 1 : 0);
        assert.ok(!JSON.stringify(served).includes(FORGER), 'nothing forged goes further');
      }

      for (const hole of HOLES.filter(({ proxy }) => proxy === name))
        it(`${hole.line}: ${hole.hole}`, async () => {
          const closed = await run(hole.probe, hole.quicker ?? []);
          assert.equal(hole.probe.passed(closed), false, `open with the line: ${closed.text.slice(0, 300)}`);
          const open = await run(hole.probe, hole.edits);
          assert.equal(hole.probe.passed(open), true, `closed without the line: ${shown(open)}`);
          await stillHolds(hole, open);
        });
    });
});

async function askHttp2(port: number, fields: Fields): Promise<number | undefined> {
  const client = new Http2Client({ port });
  const { ':path': path = '/', ...rest } = fields;
  // RFC 9113 §8.5: it has no path.
  const status = await client.ask(rest[':method'] === 'CONNECT' ? rest : { ':path': path, ...rest });
  client.close();
  return status;
}

function shown({ text, seen, asked }: Result): string {
  const requests = JSON.stringify([seen, asked.map(({ url, rawHeaders }) => [url, rawHeaders])]);
  return `${text.slice(0, 300)} ${requests.replace(/eyJ[\w.-]+/g, '…').slice(0, 1_500)}`;
}
