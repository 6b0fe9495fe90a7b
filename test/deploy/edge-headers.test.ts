import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { EMITTED_NAMES, FAMILIES, KNOWN_MEMBERS, OVERRIDES } from '../../deploy/source/edge-headers.ts';
import { FILES, written } from '../../deploy/source/files.ts';
import { PRESET_HEADERS } from '../../src/identity/presets.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const NAMES = Object.values(PRESET_HEADERS).flatMap((names) => names.map(([name]) => name.toLowerCase()));

/** They name one for a system that believes it, and remove nothing. */
const NOT_REMOVING = new Set<string>([]);

interface Dynamic {
  readonly http: {
    readonly routers: Readonly<Record<string, { readonly rule: string; readonly middlewares?: readonly string[] }>>;
    readonly middlewares: Readonly<Record<string, { readonly forwardAuth?: object }>>;
  };
}

describe('the header lists of deploy/', () => {
  for (const file of Object.keys(FILES))
    it(`${file} holds what npm run deploy:headers writes`, async () => {
      const text = await readFile(join(DEPLOY, file), 'utf8');
      assert.equal(text, written(file, text));
    });

  it('every file that names a family is written from the one source', async () => {
    const files = (await readdir(DEPLOY, { recursive: true })).filter((file) =>
      /\.(?:yaml|cfg|conf|lua)$|Caddyfile$/.test(file),
    );
    const naming = [];
    for (const file of files)
      if (/remote-(?!user)|x-webauth-|authResponseHeadersRegex/i.test(await readFile(join(DEPLOY, file), 'utf8')))
        naming.push(file);
    assert.deepEqual(
      naming.filter((file) => FILES[file] === undefined && !NOT_REMOVING.has(file)),
      [],
    );
  });

  it('every router of Traefik that asks forward-auth refuses a host with spaces, which is judged without them', async () => {
    const files = (await readdir(DEPLOY, { recursive: true })).filter((file) => /(?:^|\/)dynamic\.yaml$/.test(file));
    assert.ok(files.length >= 6);
    for (const file of files) {
      const { http } = parse(await readFile(join(DEPLOY, file), 'utf8')) as Dynamic;
      const asking = Object.entries(http.routers).filter(([, { middlewares = [] }]) =>
        middlewares.some((name) => http.middlewares[name]?.forwardAuth !== undefined),
      );
      assert.notEqual(asking.length, 0, file);
      for (const [router, { rule }] of asking)
        assert.ok(rule.endsWith(' && !HeaderRegexp(`X-Forwarded-Host`, `\\s`)'), `${file}: ${router}`);
    }
  });

  it('whatever a rule can emit is in a family or is a listed name', () => {
    const listed = (name: string) =>
      FAMILIES.some((family) => name.startsWith(`${family.toLowerCase()}-`)) ||
      EMITTED_NAMES.some((known) => known.toLowerCase() === name);
    assert.deepEqual(
      NAMES.filter((name) => !listed(name)),
      [],
    );
  });

  it('a route of the Gateway API has room for them, beside the proof', () => {
    // `maxItems` of `remove` in an HTTPHeaderFilter.
    assert.ok(OVERRIDES.length + 1 <= 16, `${OVERRIDES.length}`);
  });

  it('what is removed as a whole name is nothing that a rule emits', () => {
    const removed = [...KNOWN_MEMBERS, ...OVERRIDES].map((name) => name.toLowerCase());
    assert.deepEqual(
      removed.filter((name) => NAMES.includes(name)),
      [],
    );
  });
});
