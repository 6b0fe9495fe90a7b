import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXAMPLES } from '../../../src/platform/config/examples.ts';
import { loadConfig } from '../../../src/platform/config/load.ts';

describe('the example of the reference', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-examples-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function load(name: string, text: string) {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, text);
    return loadConfig(file, {});
  }

  for (const [name, text] of Object.entries(EXAMPLES))
    it(`for ${name} is a whole file that is accepted without a warning`, () => {
      const { warnings, config } = load(name, text);
      assert.deepEqual(warnings, []);
      if (name !== 'general') assert.ok(name in config);
      assert.ok(text.split('\n').length <= 16, 'it is short');
    });

  it('for all sections together is accepted without a warning', () => {
    assert.deepEqual(load('all', Object.values(EXAMPLES).join('\n')).warnings, []);
  });
});
