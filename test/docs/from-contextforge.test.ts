import assert from 'node:assert/strict';
import { GUIDE_VARIABLES, readEnvironment } from '../../src/platform/config/environment.ts';
import { pageAt } from './pages.ts';

/** All that ContextForge's guide to authentication proxies sets, and what its later versions add. */
const VALUES: Readonly<Record<string, string>> = {
  MCP_CLIENT_AUTH_ENABLED: 'true',
  TRUST_PROXY_AUTH: 'true',
  TRUST_PROXY_AUTH_DANGEROUSLY: 'true',
  JWT_ISSUER_VERIFICATION: 'true',
  PLATFORM_ADMIN_EMAIL: 'admin@example.com',
  PROXY_USER_HEADER: 'X-Authenticated-User',
  AUTH_REQUIRED: 'true',
  ENABLE_HEADER_PASSTHROUGH: 'true',
  DEFAULT_PASSTHROUGH_HEADERS: '["X-Tenant-Id", "X-Request-Id"]',
  JWT_ALGORITHM: 'RS256',
  JWT_PUBLIC_KEY_PATH: '/opt/public.pem',
  JWT_PRIVATE_KEY_PATH: '/opt/private.pem',
  JWT_SECRET_KEY: 'a-key-of-thirty-two-bytes-or-more',
  JWT_ISSUER: 'http://localhost:5556',
  JWT_AUDIENCE: 'mcp',
  JWT_AUDIENCE_VERIFICATION: 'false',
  DATABASE_URL: 'sqlite:////data/context-forge.db',
  HOST: '0.0.0.0',
  PORT: '4444',
  MCPGATEWAY_UI_ENABLED: 'true',
  MCPGATEWAY_ADMIN_API_ENABLED: 'true',
  BASIC_AUTH_USER: 'admin',
  BASIC_AUTH_PASSWORD: 'changeme',
};

/** Key by variable, as the first table of the page has it; undefined where it names none. */
function documented(): Map<string, string | undefined> {
  const rows = pageAt('docs/from-contextforge.md').text.matchAll(
    /^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) *\| *(?:`([\w.]+)`)? *\|/gm,
  );
  return new Map(
    [...rows].flatMap(([, names = '', key]) =>
      [...names.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => [name as string, key] as const),
    ),
  );
}

describe('docs/from-contextforge.md', () => {
  const rows = documented();

  it('lists every variable of the guide, and no other', () => {
    assert.deepEqual([...rows.keys()].sort(), Object.keys(VALUES).sort());
    for (const name of Object.keys(GUIDE_VARIABLES)) assert.ok(rows.has(name), name);
  });

  for (const [name, value] of Object.entries(VALUES))
    it(`says of ${name} what it does`, () => {
      const { values, warnings } = readEnvironment({ [name]: value });
      const key = rows.get(name);
      if (key === undefined) {
        assert.deepEqual(values, {});
        assert.ok(
          warnings.some((warning) => warning.startsWith(name)),
          'nobody is told that it means nothing',
        );
        return;
      }
      const at = key
        .split('.')
        .reduce<unknown>((from, part) => (from as Record<string, unknown> | undefined)?.[part], values);
      assert.notEqual(at, undefined, `${name} does not set ${key}`);
      assert.deepEqual(warnings, []);
    });
});
