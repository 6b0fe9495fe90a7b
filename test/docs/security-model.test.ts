import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOME, pageAt } from './pages.ts';

describe('docs/security-model.md', () => {
  const { text } = pageAt('docs/security-model.md');
  const rowsOf = (part: string) => [...part.matchAll(/^\| (.+?) *\| .+ \| (.+?) *\|$/gm)].slice(2);
  const rows = rowsOf(text.slice(text.indexOf('## Threats')));
  const promises = rowsOf(text.slice(text.indexOf('## Promised'), text.indexOf('## Not promised')));
  const named = new Set([...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, file]) => file as string));

  it('has a table of threats', () => assert.ok(rows.length >= 20, String(rows.length)));

  it('has a table of promises', () => assert.ok(promises.length >= 10, String(promises.length)));

  for (const [, threat = '', played = ''] of [...promises, ...rows])
    it(`names a test for: ${threat}`, () => {
      const files = [...played.matchAll(/`(test\/[\w./-]+\.test\.ts)`/g)].map(([, file]) => file as string);
      assert.ok(files.length > 0, 'no test');
      for (const file of files) {
        assert.ok(existsSync(join(HOME, file)), `${file} is not there`);
        assert.match(readFileSync(join(HOME, file), 'utf8'), /\bit\(/, `${file} tests nothing`);
      }
    });

  it('forgets none of the files that attack', () => {
    const attacks = readdirSync(join(HOME, 'test'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /(?:^|\/)(?:\w+-)?attacks\.test\.ts$/.test(file))
      .map((file) => `test/${file}`);
    assert.ok(attacks.length >= 4);
    assert.deepEqual(
      attacks.filter((file) => !named.has(file)),
      [],
    );
  });
});
