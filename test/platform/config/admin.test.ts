import assert from 'node:assert/strict';
import { adminSwitches } from '../../../src/platform/config/admin-schema.ts';
import { loadConfig, parseConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

const GOOD = 'correct-horse-battery-9';

function problemOf(relay: object): string {
  try {
    parseConfig({ relay });
    return '';
  } catch (error) {
    assert.ok(error instanceof ConfigurationError);
    return error.problems.join('\n');
  }
}

describe('relay.admin', () => {
  it('is off as long as nothing is configured', () => {
    assert.deepEqual(adminSwitches(parseConfig({}).relay.admin), { pages: false, api: false });
  });

  it('is on with a way to sign in, pages and API each by its switch', () => {
    const switches = (admin: object) => adminSwitches(parseConfig({ relay: { admin } }).relay.admin);
    const signIn = { user: 'operator', password: GOOD };
    assert.deepEqual(switches(signIn), { pages: true, api: true });
    assert.deepEqual(switches({ ...signIn, api: false }), { pages: true, api: false });
    assert.deepEqual(switches({ ...signIn, pages: false }), { pages: false, api: false });
    assert.deepEqual(switches({ ...signIn, pages: false, api: true }), { pages: false, api: true });
  });

  it('reads the environment of the guide', () => {
    const env = {
      BASIC_AUTH_USER: 'operator',
      BASIC_AUTH_PASSWORD: GOOD,
      MCPGATEWAY_UI_ENABLED: 'true',
      MCPGATEWAY_ADMIN_API_ENABLED: 'false',
    };
    const { config, warnings } = loadConfig(undefined, env);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.relay.admin.password, [GOOD]);
    assert.deepEqual(adminSwitches(config.relay.admin), { pages: true, api: false });
  });

  for (const password of [
    'changeme',
    'Changeme123!',
    'change-me-please',
    'password1234',
    'admin',
    '123456789012345',
    'aaaaaaaaaaaaaaa',
    'short',
    'operator-2024!!',
    'secret password 1',
  ])
    it(`refuses the password ${password}`, () => {
      const problem = problemOf({ admin: { user: 'operator', password } });
      assert.match(problem, /^relay\.admin\.password: .*openssl rand/);
      if (password.length > 8) assert.ok(!problem.includes(password));
    });

  it('does not mind a password that nobody can use', () => {
    assert.equal(problemOf({ admin: { user: 'admin', password: 'changeme', pages: false } }), '');
  });

  it('refuses pages that nobody could sign in to', () => {
    assert.match(problemOf({ admin: { pages: true } }), /^relay\.admin: needs user and password/);
    assert.match(problemOf({ admin: { api: true } }), /^relay\.admin: needs user and password/);
    assert.match(problemOf({ admin: { user: 'operator' } }), /^relay\.admin\.password: give both/);
    assert.match(
      problemOf({ trust: { enabled: false }, admin: { groups: ['admins'] } }),
      /^relay\.admin\.groups: needs relay\.trust\.enabled/,
    );
  });

  it('never opens to everybody', () => {
    const open = { admin: { pages: true }, authRequired: false };
    assert.equal(problemOf(open), '');
    assert.match(
      problemOf({ ...open, listen: '0.0.0.0:4444' }),
      /^relay\.admin: would be open to everybody on 0\.0\.0\.0/m,
    );
    assert.match(problemOf({ ...open, listen: '[::]:4444' }), /^relay\.admin: would be open to everybody/m);
  });
});
