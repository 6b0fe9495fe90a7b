import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/platform/config/load.ts';

describe('a listener that no trusted peer can reach', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-listeners-'));
  after(() => rmSync(folder, { recursive: true }));

  function warnings(auth: object, relay: object): string[] {
    const file = join(folder, 'postern.yaml');
    writeFileSync(
      file,
      stringify({
        publicUrl: 'https://mcp.example.com',
        auth: { providers: [{ id: 'corp', issuer: 'https://id.example.com' }], ...auth },
        relay: { servers: {}, ...relay },
      }),
    );
    return loadConfig(file, {}).warnings.filter((text) => text.includes('.listen:'));
  }

  for (const [what, auth, relay, keys] of [
    ['the defaults', {}, {}, []],
    ['loopback for a proxy of a container network', { trustedProxies: ['172.30.77.10/32'] }, {}, ['auth']],
    ['IPv6 loopback', { listen: '[::1]:4180', trustedProxies: ['fd00::/8'] }, {}, ['auth']],
    ['a relay on loopback', {}, { trust: { proxies: ['10.0.0.0/8', '172.16.0.0/12'] } }, ['relay']],
    ['by its name', { listen: 'localhost:4180', trustedProxies: ['10.1.2.3'] }, {}, ['auth']],
    ['loopback among others', { trustedProxies: ['10.0.0.0/8', '127.0.0.1/32'] }, {}, []],
    ['everybody', { trustedProxies: ['0.0.0.0/0'] }, {}, []],
    ['every address of a container', { listen: '0.0.0.0:4180', trustedProxies: ['172.30.77.10'] }, {}, []],
    ['one address of a container', {}, { listen: '172.30.77.12:4444', trust: { proxies: ['172.30.77.10'] } }, []],
  ] as const)
    it(`is told: ${what}`, () => {
      const told = warnings(auth, relay);
      assert.deepEqual(
        told.map((text) => text.split('.')[0]),
        keys,
      );
      for (const text of told) assert.match(text, /listen on 0\.0\.0\.0/);
    });
});
