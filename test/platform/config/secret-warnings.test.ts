import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../../src/cli/main.ts';
import { loadConfig } from '../../../src/platform/config/load.ts';
import type { ProcessName } from '../../../src/platform/config/process-sections.ts';

const LONG = 'a-secret-of-twenty-ch';

describe('secrets that can be guessed', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-secrets-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** @param process whose start says it; absent: both, one after the other */
  const warnings = (yaml: string, env: Record<string, string> = {}, process?: ProcessName) => {
    const file = join(folder, 'postern.yaml');
    writeFileSync(file, yaml);
    const starting: readonly ProcessName[] = process === undefined ? ['forward-auth', 'relay'] : [process];
    return starting.flatMap((one) =>
      loadConfig(file, env, undefined, one).warnings.filter((text) => text.includes('can be guessed')),
    );
  };

  for (const [what, yaml, env, key] of [
    ['of an operator', 'auth: { operatorToken: short }', {}, 'auth.operatorToken'],
    ['of the relay’s operator', '{}', { POSTERN_RELAY_OPERATOR_TOKEN: '123456789012345' }, 'relay.operatorToken'],
    ['of the proxy', 'relay: { trust: { secret: hello } }', {}, 'relay.trust.secret'],
    [
      'to register clients',
      'auth: { providers: [{ id: corp, issuer: https://idp.example, clientId: a }], broker: { registration: { initialAccessToken: let-me-in } } }',
      {},
      'auth.broker.registration.initialAccessToken',
    ],
    ['that is one of several', `relay: { trust: { secret: [${LONG}, old] } }`, {}, 'relay.trust.secret'],
  ] as const)
    it(`are told without the secret: ${what}`, () => {
      const [warning = '', ...more] = warnings(yaml, env);
      assert.deepEqual(more, []);
      assert.ok(warning.startsWith(`${key}: a secret of `), warning);
      assert.match(warning, /take 16 or more, such as `postern secrets` makes/);
      assert.doesNotMatch(warning, /short|hello|let-me-in|old/);
    });

  it('are read from files too', () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'tiny\n');
    assert.equal(warnings(`relay: { trust: { secretPath: ${secret} } }`).length, 1);
  });

  it('are none where they are long enough', () => {
    assert.deepEqual(
      warnings(`{ auth: { operatorToken: ${LONG} }, relay: { operatorToken: ${LONG}, trust: { secret: ${LONG} } } }`),
      [],
    );
  });

  it('are the business of the process that has them', () => {
    const yaml = '{ auth: { operatorToken: short }, relay: { trust: { secret: short } } }';
    assert.equal(warnings(yaml).length, 2);
    for (const [process, section] of [
      ['forward-auth', 'auth.'],
      ['relay', 'relay.'],
    ] as const) {
      const told = warnings(yaml, {}, process);
      assert.deepEqual([told.length, told[0]?.startsWith(section)], [1, true]);
    }
  });

  it('are told once by check, which judges all secrets', async () => {
    const file = join(folder, 'postern.yaml');
    writeFileSync(file, 'relay: { trust: { secret: hello } }');
    const written: string[] = [];
    const write = (text: string) => void written.push(text);
    await main(['check', '--config', file], { env: {}, print: write, printError: write });
    const told = written.filter((text) => text.startsWith('warning: relay.trust.secret'));
    assert.equal(told.length, 1, written.join('\n'));
    assert.match(told[0] ?? '', /has 5 characters, fewer than 16/);
  });
});
