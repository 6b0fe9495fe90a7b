import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { main } from '../../src/cli/main.ts';
import { configJsonSchema, type JsonSchema, mapOf } from '../../src/platform/config/keys.ts';

/** What the command prints, with the line break that the shell's `>` gets. */
async function printed(...argv: string[]): Promise<string> {
  let text = '';
  const print = (line: string) => {
    text += `${line}\n`;
  };
  assert.equal(await main(argv, { env: {}, print, printError: assert.fail }), 0);
  return text;
}

/** @yields paths of all that the schema says nothing about, in every form of a value */
function* withoutSentence(schema: JsonSchema, path: string): Generator<string> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const own = path === '' ? name : `${path}.${name}`;
    if ((child.description ?? '').trim() === '') yield own;
    yield* withoutSentence(child, own);
  }
  if (schema.items !== undefined) yield* withoutSentence(schema.items, `${path}[]`);
  const map = mapOf(schema);
  if (map !== undefined) yield* withoutSentence(map, `${path}.<name>`);
  for (const form of schema.anyOf ?? []) yield* withoutSentence(form, path);
}

describe('configuration docs', () => {
  it('have a sentence for every key and section', () => {
    assert.deepEqual([...withoutSentence(configJsonSchema(), '')], []);
  });

  it('find a key without a sentence, wherever the schema holds it', () => {
    const silent: JsonSchema = { properties: { key: {} } };
    const found = (schema: JsonSchema) => [...withoutSentence(schema, 'at')];
    assert.deepEqual(found(silent), ['at.key']);
    assert.deepEqual(found({ items: silent }), ['at[].key']);
    assert.deepEqual(found({ additionalProperties: silent }), ['at.<name>.key']);
    assert.deepEqual(found({ anyOf: [{}, silent] }), ['at.key']);
    assert.deepEqual(found({ properties: { key: { description: ' ' } } }), ['at.key']);
    assert.deepEqual(found({ properties: { key: { description: 'a sentence' } } }), []);
  });

  it('say in the schema what needs a restart, as the reference does', async () => {
    const { properties = {} } = JSON.parse(await printed('config', 'schema')) as JsonSchema;
    const { auth, audit, publicUrl } = properties;
    for (const key of [audit, audit?.properties?.file?.properties?.maxAge, auth?.properties?.listen])
      assert.match(key?.description ?? '', /[^;]; needs a restart$/);
    for (const key of [auth, publicUrl, auth?.properties?.rules])
      assert.doesNotMatch(key?.description ?? '', /restart/);
  });

  for (const [kind, file] of [
    ['reference', 'docs/configuration.md'],
    ['schema', 'docs/configuration.schema.json'],
  ] as const)
    it(`${file} is what \`postern config ${kind}\` prints (npm run docs)`, async () => {
      const path = new URL(`../../${file}`, import.meta.url);
      assert.equal(readFileSync(path, 'utf8'), await printed('config', kind));
    });
});
