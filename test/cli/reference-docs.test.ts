import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { main } from '../../src/cli/main.ts';

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
  for (const [kind, file] of [
    ['reference', 'docs/configuration.md'],
    ['schema', 'docs/configuration.schema.json'],
  ] as const)
    it(`${file} is what \`postern config ${kind}\` prints (npm run docs)`, async () => {
      const path = new URL(`../../${file}`, import.meta.url);
      assert.equal(readFileSync(path, 'utf8'), await printed('config', kind));
    });
});
