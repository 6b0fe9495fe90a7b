import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { main } from '../../src/cli/main.ts';
import { configKeys } from '../../src/platform/config/keys.ts';

/** What the command prints, with the line break that the shell's `>` gets. */
async function printed(...argv: string[]): Promise<string> {
  let text = '';
  const print = (line: string) => {
    text += `${line}\n`;
  };
  assert.equal(await main(argv, { env: {}, print, printError: assert.fail }), 0);
  return text;
}

describe('configuration docs', () => {
  it('have a sentence for every key, or the values that it takes', () => {
    const silent = configKeys().filter(({ description, allowed }) => description === '' && allowed === undefined);
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
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
