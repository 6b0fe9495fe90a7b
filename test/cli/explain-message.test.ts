import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../src/cli/main.ts';
import type { Cause } from '../../src/identity/denial-cause.ts';
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

interface Explained {
  readonly decision: string;
  readonly permission: string;
  readonly rule: { readonly name: string };
  readonly cause: Cause;
  readonly nearest: object;
}

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
    const read = JSON.parse(json.out) as { decision: string; reason: string; cause: object; relay: Explained };
    assert.deepEqual([read.decision, read.reason], ['deny', 'no_rule']);
    assert.deepEqual(Object.keys(read.cause), ['missing', 'needs', 'has', 'fix']);
    const { decision, permission, rule, cause, nearest } = read.relay;
    assert.deepEqual(
      [decision, rule.name, permission],
      ['deny', 'relay.policy.default', 'tools/call "merge" of server "github"'],
    );
    assert.deepEqual([cause.needs, cause.has], ['the scopes [mcp:admin]', 'scopes []']);
    assert.deepEqual(nearest, {
      ...{ name: 'relay.policy.rules[1]', file, line: 7 },
      text: '{ who: { scopes: ["mcp:admin"] }, tools: [merge] }',
    });
    assert.match(allowed.out, /relay: allowed by relay\.policy\.rules\[0\]/);
    const unfit = await explain('--user', 'alice', '--groups', 'engineers', '--tool', 'search', '--arguments', '{}');
    assert.match(
      unfit.out,
      /relay: denied by relay\.policy\.default\n {2}tools\/call "search" of server "github": no_rule/,
    );
    const scope = await explain('--user', 'alice', '--scopes', 'mcp:use', '--tool', 'merge');
    assert.match(scope.out, /why: has scopes \[mcp:use\], needs the scopes \[mcp:admin\]$/m);
    assert.match(
      (await explain('--user', 'bob', '--tool', 'x', '--read-only')).out,
      /allowed by relay\.policy\.rules\[2\]/,
    );
    assert.match((await explain('--mcp-method', 'initialize')).out, /relay: denied/);
  });

  it('shows the rule with file and line, what it needs, what the user has, and the fix', async () => {
    const near = await explain('--user', 'alice', '--groups', 'engineer', '--tool', 'search');
    const at = (line: number) => `${file}:${line}`;
    assert.ok(
      near.out.includes(
        [
          'relay: denied by relay.policy.default',
          '  tools/call "search" of server "github": no_rule',
          '  why: has groups [engineer], needs one of the groups [engineers]',
          '  fix: "engineer" is nearly "engineers": correct the group at the provider, or relay.policy.rules[0].who.groups',
          `  nearest rule: relay.policy.rules[0] at ${at(6)}`,
          '    { who: { groups: [engineers] }, tools: [search], arguments: { type: object, required: [q] } }',
        ].join('\n'),
      ),
      near.out,
    );
    const allowed = await explain('--user', 'bob', '--tool', 'x', '--read-only');
    assert.ok(allowed.out.includes(`relay: allowed by relay.policy.rules[2] at ${at(8)}\n    { readOnly: true, who`));
    const denying = `${CONFIG.replace('- { readOnly', '- { effect: deny, tools: [drop] }\n      - { readOnly')}    dryRun: true\n`;
    const url = 'http://127.0.0.1:8080/base/servers/github/sse/';
    const dry = await run(denying, 'explain', url, '--user', 'bob', '--tool', 'drop');
    assert.ok(dry.out.includes(`relay: allowed by relay.policy.dryRun at ${at(10)}\n    true\n`), dry.out);
    assert.ok(
      dry.out.includes(`  in dry run: relay.policy.rules[2] would deny at ${at(8)}\n    { effect: deny`),
      dry.out,
    );
    assert.match(
      dry.out,
      /^ {2}why: has tools\/call "drop" of server "github" by user bob .*\n {2}fix: if it should be/m,
    );
  });

  it('says of a missing scope that none was given', async () => {
    const scoped = `auth:
  rules:
    - match: { path: /servers/github/** }
      allow: { groups: [engineers] }
      scopes: { default: ["mcp:use"] }
${CONFIG}`;
    const ask = (...more: string[]) =>
      run(
        scoped,
        'explain',
        'http://127.0.0.1:8080/servers/github/mcp',
        '--user',
        'al',
        '--groups',
        'engineers',
        ...more,
      );
    const none = await ask();
    assert.match(none.out, /decision: deny \(403, insufficient_scope/);
    assert.match(none.err, /^without --scopes the token has none: ask again with --scopes mcp:use$/m);
    for (const given of ['mcp:use', 'other'])
      assert.doesNotMatch((await ask('--scopes', given)).err, /without --scopes/, given);
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
      [78, `relay.policy.rules[1].tols (${file}:7): unknown key; did you mean \`tools\`?`],
    );
    const shadowed = `${CONFIG}      - { who: { users: [bob] }, readOnly: true, tools: [a] }\n`;
    const checked = await run(shadowed, 'check');
    assert.equal(checked.code, 78);
    assert.match(checked.out, /^relay\.policy\.rules\[3\] \(.*:\d+\): can never match/);
    const started = startPostern(['relay', '--config', file]);
    assert.equal(await started.ended, 78);
    assert.match(started.stderr(), /relay\.policy\.rules\[3\]: can never match/);
  });
});
