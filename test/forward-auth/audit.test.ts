import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { main } from '../../src/cli/main.ts';
import { AuditLog } from '../../src/platform/audit/audit-log.ts';
import type { AuditSink } from '../../src/platform/audit/audit-sink.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createAuditMetrics } from '../../src/platform/metrics.ts';
import { openHouse } from './login/support/house.ts';
import { Jar } from './login/support/jar.ts';
import { openGate } from './support/gate.ts';

type Json = Record<string, unknown>;

const TOKEN = 'operator-token-operator-token-operator';

/** An audit log that can be looked at. */
function openMemoryLog() {
  const lines: string[] = [];
  const sink: AuditSink = {
    name: 'stdout',
    lastLine: undefined,
    write: async (more) => void lines.push(...more),
    close: async () => {},
  };
  const metrics = createAuditMetrics(new Registry());
  const deps = { process: 'forward-auth', log: createLogger('test', 'silent'), now: Date.now, metrics } as const;
  return { audit: new AuditLog(parseConfig({}).audit, [sink], deps), lines };
}

describe('the audit log of forward-auth', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-audit-'));
  after(() => rmSync(folder, { recursive: true }));

  it('has sign-ins, and those that failed', async () => {
    const { audit, lines } = openMemoryLog();
    const house = await openHouse({ audit });
    try {
      await house.enter();
      house.idp.user = undefined;
      await new Jar().until(house.at('/_postern/sign-in?rd=/'), /never/).catch(() => undefined);
      await audit.close(1_000);
      const entries = lines.map((line) => JSON.parse(line) as Json);
      assert.deepEqual(
        entries.map(({ event, outcome, user, via, client }) => [event, outcome, user, via, client]),
        [
          ['sign_in', 'signed_in', `${house.idp.issuer}#alice`, 'idp0', '127.0.0.1'],
          ['sign_in', 'denied', undefined, 'idp0', '127.0.0.1'],
        ],
      );
      assert.doesNotMatch(lines.join('\n'), /eyJ|code=|state=/);
    } finally {
      await house.close();
    }
  });

  it('that cannot be written makes checks be refused where that is wanted, and cookies stay', async function () {
    if (process.platform !== 'linux') this.skip();
    symlinkSync('/dev/full', join(folder, 'full-forward-auth.jsonl'));
    const gate = await openGate({ rules: [{ match: { path: '/public/**' }, public: true }] }, [], {
      file: { path: join(folder, 'full-{process}.jsonl') },
      ...{ maxQueue: 2, whenFull: 'refuse' },
    });
    const answers = [];
    for (let turn = 0; turn < 4; turn++) answers.push(await gate.ask('/public/a'));
    await gate.close();
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 503, 503],
    );
    assert.equal(answers[3]?.headers['set-cookie'], undefined);
    assert.ok(answers[3]?.headers['retry-after']);
  });

  it('has decisions, denials and what operators do, in a chain that can be followed', async () => {
    const gate = await openGate(
      { rules: [{ match: { path: '/public/**' }, public: true }], operatorToken: TOKEN },
      [],
      {
        file: { path: join(folder, '{process}.jsonl') },
        chain: { enabled: true },
      },
    );
    await gate.ask('/public/a?access_token=secret-secret', { headers: ['X-Request-Id', 'r-1'] });
    await gate.ask('/private');
    const operator = (token: string) =>
      fetch(`http://127.0.0.1:${gate.internalPort}/sessions?subject=a&issuer=b`, {
        headers: { Authorization: `Bearer ${token}` },
      }).then((response) => response.text());
    await operator(TOKEN);
    await operator('wrong');
    await gate.close();
    const file = join(folder, 'forward-auth.jsonl');
    const text = readFileSync(file, 'utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Json);
    assert.deepEqual(
      lines.map(({ event, outcome, object }) => [event, outcome, object]),
      [
        ['decision', 'allow', 'mcp.example.com/public/a'],
        ['denial', 'deny', 'mcp.example.com/private'],
        ['operator', 'done', '/sessions'],
        ['operator', 'refused', '/sessions'],
      ],
    );
    assert.deepEqual(
      ['process', 'via', 'credential', 'client', 'action', 'rule', 'requestId'].map((name) => lines[0]?.[name]),
      ['forward-auth', 'traefik', 'anonymous', '203.0.113.7', 'GET', 'auth.rules[0]', 'r-1'],
    );
    assert.match(String(lines[1]?.needs), /^a rule whose `match` takes/);
    assert.match(String(lines[1]?.fix), /auth\.rules/);
    assert.doesNotMatch(text, /secret-secret|operator-token/);
    const out: string[] = [];
    const terminal = { env: {}, print: (line: string) => out.push(line), printError: (line: string) => out.push(line) };
    assert.equal(await main(['audit', 'verify', file], terminal), 0);
    assert.match(out[0] as string, /^4 lines in 1 file, 1 to 4: whole$/);
    assert.equal(await main(['audit', 'verify', join(folder, 'none')], terminal), 1);
    assert.match(out.at(-1) as string, /cannot be read \(ENOENT\)/);
  });
});
