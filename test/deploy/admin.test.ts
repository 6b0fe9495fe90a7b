import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { Rules } from '../../src/forward-auth/decision/rules.ts';
import { authSchema } from '../../src/platform/config/auth-schema.ts';
import type { AuthConfig } from '../../src/platform/config/schema.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url);

describe('no deployment example lets anybody reach the admin pages through the proxy', () => {
  const files = readdirSync(DEPLOY, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?:^|\/)postern\.yaml$/.test(file),
  );

  it('finds the examples', () => assert.ok(files.length >= 8, String(files.length)));

  for (const file of files)
    it(file, () => {
      const { auth = {}, relay = {} } = parse(readFileSync(new URL(file, DEPLOY), 'utf8')) as Record<string, object>;
      const config: AuthConfig = authSchema.parse(auth);
      const rules = new Rules(config);
      for (const path of ['/admin', '/admin/', '/admin/activity', '/admin/api/servers', '/admin/api/pins/approve'])
        for (const method of ['GET', 'POST', 'DELETE'])
          assert.equal(rules.match({ path, host: 'mcp.example.com', method, context: {} })?.name, undefined, path);
      assert.equal('admin' in relay, false);
    });
});
