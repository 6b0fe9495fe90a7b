import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../src/cli/main.ts';
import { startPostern } from '../support/run-postern.ts';

const CONFIG = `
relay:
  servers: { github: { url: "http://127.0.0.1:9/mcp" } }
  policy:
    rules:
      - { who: { groups: [engineers] }, tools: [search], arguments: { type: object, required: [q] } }
      - { who: { scopes: ["mcp:admin"] }, tools: [merge] }
      - { readOnly: true, who: { users: [bob] } }
`;

describe('explaining the policy of the relay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-explain-'));
  const file = join(folder, 'postern.yaml');
  after(() => rmSync(folder, { recursive: true }));

  async function run(content: string, ...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    writeFileSync(file, content);
    const out: string[] = [];
    const err: string[] = [];
    const code = await main([...argv, '--config', file], {
      env: {},
      print: (text) => out.push(text),
      printError: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
  const explain = (...options: string[]) =>
    run(CONFIG, 'explain', 'http://127.0.0.1:8080/servers/github/mcp', ...options);

  it('names the rule, and what is missing', async () => {
    const allowed = await explain(
      '--user',
      'alice',
      '--groups',
      'engineers',
      '--tool',
      'search',
      '--arguments',
      '{"q":1}',
    );
    const json = await explain('--user', 'alice', '--groups', 'engineer', '--tool', 'merge', '--json');
    const read = JSON.parse(json.out) as { decision: string; reason: string; cause: object; relay: string[] };
    assert.deepEqual([read.decision, read.reason], ['deny', 'no_rule']);
    assert.deepEqual(Object.keys(read.cause), ['missing', 'needs', 'has', 'fix']);
    assert.match(String(read.relay[0]), /^relay: denied by/);
    assert.match(allowed.out, /relay: allowed by relay\.policy\.rules\[0\]/);
    const unfit = await explain('--user', 'alice', '--groups', 'engineers', '--tool', 'search', '--arguments', '{}');
    assert.match(
      unfit.out,
      /relay: denied by relay\.policy\.default\n {2}tools\/call "search" of server "github": no_rule/,
    );
    const scope = await explain('--user', 'alice', '--scopes', 'mcp:use', '--tool', 'merge');
    assert.match(scope.out, /allowed with the scope mcp:admin/);
    assert.match(
      (await explain('--user', 'bob', '--tool', 'x', '--read-only')).out,
      /allowed by relay\.policy\.rules\[2\]/,
    );
    assert.match((await explain('--mcp-method', 'initialize')).out, /relay: denied/);
  });

  it('says what is wrong with the question', async () => {
    assert.match((await explain('--tool', 'a', '--prompt', 'b')).err, /give one of/);
    assert.match((await explain('--tool', 'a', '--arguments', '{')).err, /must be JSON/);
    assert.match((await run(CONFIG, 'explain', 'http://a/other', '--tool', 'a')).err, /servers\/NAME\/mcp/);
    assert.match((await run(CONFIG, 'explain', 'http://a/servers/x/mcp', '--tool', 'a')).out, /no server "x"/);
  });

  it('check and the start refuse a wrong policy with its path', async () => {
    const wrong = CONFIG.replace('tools: [merge]', 'tols: [merge]');
    assert.deepEqual(
      [(await run(wrong, 'check')).code, (await run(wrong, 'check')).out],
      [78, 'relay.policy.rules[1].tols: unknown key; did you mean `tools`?'],
    );
    const shadowed = `${CONFIG}      - { who: { users: [bob] }, readOnly: true, tools: [a] }\n`;
    const checked = await run(shadowed, 'check');
    assert.equal(checked.code, 78);
    assert.match(checked.out, /^relay\.policy\.rules\[3\]: can never match/);
    const started = startPostern(['relay', '--config', file]);
    assert.equal(await started.ended, 78);
    assert.match(started.stderr(), /relay\.policy\.rules\[3\]: can never match/);
  });
});
