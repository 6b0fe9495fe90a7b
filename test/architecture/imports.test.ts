import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importLines, violations } from './import-table.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

async function sources(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of await readdir(SRC, { recursive: true }))
    if (file.endsWith('.ts')) files.set(file, await readFile(join(SRC, file), 'utf8'));
  return files;
}

describe('who may import whom', () => {
  it('holds in every file of src', async () => {
    const files = await sources();
    assert.ok(files.size > 20, 'the sources were found');
    assert.deepEqual(violations(files), []);
  });

  const planted: Array<[title: string, file: string, source: string]> = [
    ['relay importing forward-auth', 'relay/server.ts', `import { decide } from '../forward-auth/decision/decide.ts';`],
    ['forward-auth importing relay', 'forward-auth/server.ts', `import '../relay/server.ts';`],
    ['identity importing platform', 'identity/identity.ts', `export { redact } from '../platform/redact.ts';`],
    ['platform importing a process', 'platform/http.ts', `import type { X } from '../relay/server.ts';`],
    ['a dynamic import', 'relay/server.ts', `const x = await import('../forward-auth/server.ts');`],
    ['an import over several lines', 'relay/a.ts', `import {\n  a,\n  b,\n} from '../forward-auth/b.ts';`],
    [
      'the decision importing a proxy',
      'forward-auth/decision/decide.ts',
      `import { parse } from '../proxies/traefik.ts';`,
    ],
    ['the decision importing a framework', 'forward-auth/decision/decide.ts', `import Koa from 'koa';`],
    [
      'the decision importing metrics',
      'forward-auth/decision/decide.ts',
      `import { m } from '../../platform/metrics.ts';`,
    ],
    [
      'the messages of the protocol importing a part of the relay',
      'relay/protocol/message.ts',
      `import type { Refusal } from '../refusal.ts';`,
    ],
    ['a process importing the command', 'relay/server.ts', `import { main } from '../cli/main.ts';`],
    ['a file outside the table', 'helpers/strings.ts', ''],
  ];
  for (const process of ['forward-auth', 'relay'])
    it(`has a row for every folder of ${process}`, async () => {
      const folders = [...(await sources()).keys()].flatMap(
        (file) => new RegExp(`^${process}/[^/]+/`).exec(file)?.[0] ?? [],
      );
      assert.ok(folders.length > 0, 'folders were found');
      for (const folder of new Set(folders)) {
        const files = new Map([
          [`${folder}planted.ts`, `import '../server.ts';`],
          [`${process}/server.ts`, ''],
        ]);
        assert.deepEqual(violations(files), [`${folder}planted.ts imports ${process}/server.ts`]);
      }
    });

  it('leaves at most six files at the root of forward-auth', async () => {
    const root = [...(await sources()).keys()].filter((file) => /^forward-auth\/[^/]+$/.test(file));
    assert.ok(root.length <= 6, root.join(', '));
  });

  /** From a part of a process to one that stands on it. */
  const upwards = {
    'forward-auth': [
      ['decision', 'check'],
      ['decision', 'authenticators'],
      ['proxies', 'check'],
      ['proxies', 'assertions'],
      ['assertions', 'check'],
      ['sessions', 'login'],
      ['sessions', 'authenticators'],
      ['api-keys', 'authenticators'],
      ['limits', 'authenticators'],
      ['authenticators', 'login'],
      ['authenticators', 'check'],
      ['login', 'mcp-authorization'],
      ['login', 'check'],
      ['mcp-authorization', 'operator'],
      ['check', 'explain'],
      ['check', 'authenticators'],
      ['explain', 'check'],
      ['operator', 'login'],
    ],
    relay: [
      ['upstreams', 'downstream'],
      ['upstreams', 'eras'],
      ['upstreams', 'transports'],
      ['downstream', 'transports'],
      ['downstream', 'aggregate'],
      ['eras', 'transports'],
      ['eras', 'aggregate'],
      ['gate', 'upstreams'],
      ['gate', 'transports'],
      ['trust', 'gate'],
      ['audit', 'gate'],
      ['policy', 'gate'],
      ['replicas', 'upstreams'],
      ['aggregate', 'admin'],
      ['transports', 'aggregate'],
      ['connect', 'upstreams'],
      ['credentials', 'transports'],
      ['admin', 'aggregate'],
    ],
  } as const;
  for (const [process, pairs] of Object.entries(upwards))
    for (const [from, to] of pairs)
      it(`is broken by ${process}'s ${from} importing its ${to}`, async () => {
        const files = await sources();
        const target = [...files.keys()].find((file) => file.startsWith(`${process}/${to}/`)) as string;
        files.set(`${process}/${from}/planted.ts`, `import '../${target.slice(process.length + 1)}';`);
        assert.deepEqual(violations(files), [`${process}/${from}/planted.ts imports ${target}`]);
      });

  for (const [title, file, source] of planted)
    it(`is broken by ${title}`, async () => {
      const files = await sources();
      files.set(file, source);
      assert.equal(violations(files).filter((line) => line.startsWith(file)).length, 1);
    });

  it('reads every form of import', () => {
    const source = [
      `import a from './a.ts';`,
      `import type { B } from './b.ts';`,
      `import './c.ts';`,
      `export * from './d.ts';`,
      `const e = import('./e.ts');`,
      `import f, { type G } from 'koa';`,
    ].join('\n');
    assert.deepEqual(
      importLines('relay/x.ts', source).map((line) => line.to),
      ['relay/a.ts', 'relay/b.ts', 'relay/c.ts', 'relay/d.ts', 'relay/e.ts', 'koa'],
    );
  });
});
