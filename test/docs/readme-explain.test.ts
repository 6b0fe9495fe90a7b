import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../src/cli/main.ts';
import { shellCommands } from './shell.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

async function run(args: readonly string[]) {
  const out: string[] = [];
  const code = await main([...args], {
    env: {},
    print: (text) => void out.push(text),
    printError: (text) => void out.push(text),
  });
  return { code, out: out.join('\n') };
}

describe('the README says how a request is explained', () => {
  const [, line = ''] = /`(postern explain [^`]+)`/.exec(README) ?? [];
  const words = shellCommands(line)[0]?.words.slice(1) ?? [];
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-readme-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function assertAllowed(config: string, rule: string) {
    const { code, out } = await run([...words, '--config', config]);
    assert.equal(code, 0, out);
    assert.match(out, /^decision: allow /m);
    assert.match(out, /^user: \S+#alice /m);
    assert.ok(out.includes(`rule: auth.rules[0] at ${config}`), out);
    assert.ok(out.includes(rule), out);
    assert.doesNotMatch(out, /ask again/);
  }

  it('with the file that it shows', async () => {
    const [, indent = '', block = ''] = /^( *)```yaml\n([\s\S]*?)\n\1```/m.exec(README) ?? [];
    const config = join(folder, 'shown.yaml');
    writeFileSync(config, `${block.replaceAll(new RegExp(`^${indent}`, 'gm'), '')}\n`);
    await assertAllowed(config, 'match: { path: /servers/github/** }');
  });

  for (const [provider, issuer] of [
    ['oidc', 'https://idp.example.com'],
    ['keycloak', 'https://sso.example.com/realms/main'],
    ['okta', 'https://example.okta.com'],
  ] as const)
    it(`with what postern init writes for ${provider}`, async () => {
      const made = join(folder, provider);
      const options = ['--proxy', 'traefik', '--provider', provider, '--issuer', issuer, '--client-id', 'postern'];
      const server = ['--server', 'github=https://github-mcp.example.com/mcp', '--groups', 'engineering'];
      const { code, out } = await run([
        ...['init', '--dir', made, '--public-url', 'https://mcp.example.com'],
        ...options,
        ...server,
      ]);
      assert.equal(code, 0, out);
      await assertAllowed(join(made, 'postern.yaml'), 'scopes: { default: [ mcp:use ] }');
    });
});
