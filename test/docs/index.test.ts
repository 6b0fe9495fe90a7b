import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCHEMA_URL } from '../../src/platform/config/schema-url.ts';
import { HOME, pageAt, pages } from './pages.ts';

describe('docs/README.md', () => {
  const { text } = pageAt('docs/README.md');

  it('leads to every page of docs', () => {
    const missing = readdirSync(join(HOME, 'docs'))
      .filter((name) => name.endsWith('.md') && name !== 'README.md')
      .filter((name) => !text.includes(`](${name})`));
    assert.deepEqual(missing, []);
  });

  it('leads to every page of deployments', () => {
    const missing = pages()
      .filter(({ path, folder }) => path.startsWith('deploy/') && folder.split('/').length === 2)
      .filter(
        ({ folder }) => !`${text}${pageAt('deploy/README.md').text}`.includes(`(${folder.slice('deploy/'.length)})`),
      );
    assert.deepEqual(
      missing.map(({ path }) => path),
      [],
    );
    assert.ok(text.includes('](../deploy/README.md)'));
  });
});

describe('docs/decisions', () => {
  const names = readdirSync(join(HOME, 'docs/decisions')).filter((name) => name !== 'README.md');
  const index = pageAt('docs/decisions/README.md').text;

  it('are numbered once and without a gap', () => {
    const numbers = names.map((name) => Number(/^(\d+)-[a-z0-9-]+\.md$/.exec(name)?.[1])).sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      names.map((_, i) => i + 1),
    );
  });

  for (const name of names)
    it(`${name} has its number, status and date, as the index says them`, () => {
      const { text } = pageAt(`docs/decisions/${name}`);
      const [, number, title, status, date] =
        /^# (\d+)\. (.+)\n\n(Accepted|Replaced by [^,]+), (\d{4}-\d\d-\d\d)\.\n\n/.exec(text) ?? assert.fail(name);
      assert.equal(number, name.split('-')[0]);
      const cells = (index.split('\n').find((line) => line.includes(`](${name})`)) ?? '').split('|').slice(1, -1);
      assert.deepEqual(
        cells.map((cell) => cell.trim()),
        [number, `[${title}](${name})`, status?.toLowerCase(), date],
      );
    });
});

describe('the example configurations of deploy', () => {
  const { homepage } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { homepage: string };
  const line = `# yaml-language-server: $schema=${SCHEMA_URL}`;
  const files = readdirSync(join(HOME, 'deploy'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => ({ name, text: readFileSync(join(HOME, 'deploy', name), 'utf8') }));
  // The chart's values are those of the chart.
  const own = files.filter(({ name, text }) => !name.includes('/chart/') && /^(?:publicUrl|auth|relay):/m.test(text));
  const inObjects = files.filter(({ text }) => /^ +postern\.yaml: \|/m.test(text));

  it('are found', () => {
    assert.ok(own.length > 20, String(own.length));
    assert.ok(inObjects.length >= 3, String(inObjects.length));
  });

  it('name a schema that the project has, at its own address', () => {
    const place = `${homepage.replace('github.com', 'raw.githubusercontent.com')}/main/`;
    assert.ok(SCHEMA_URL.startsWith(place), SCHEMA_URL);
    assert.ok(existsSync(join(HOME, SCHEMA_URL.slice(place.length))));
  });

  for (const { name, text } of own)
    it(`${name} names it for editors first`, () => assert.equal(text.split('\n')[0], line));
  for (const { name, text } of inObjects)
    it(`${name} names it in the configuration that it holds`, () => {
      for (const [, first] of text.matchAll(/^ +postern\.yaml: \|\n +(.*)$/gm)) assert.equal(first, line);
    });

  it('are no other files', () => {
    const others = files.filter((file) => !own.includes(file) && !inObjects.includes(file));
    assert.deepEqual(
      others.filter(({ text }) => text.includes(SCHEMA_URL)).map(({ name }) => name),
      [],
    );
  });
});

describe('docs/glossary.md', () => {
  const { text } = pageAt('docs/glossary.md');
  const terms = [...text.matchAll(/^\| \*\*([^*]+)\*\* +\| (.+?) +\| (.+?) +\|$/gm)];

  it('explains each term in a sentence and names its source, in alphabetical order', () => {
    assert.ok(terms.length > 25);
    for (const [, term, sentence, source] of terms) {
      assert.match(sentence as string, /\.$/, term);
      assert.match(source as string, /RFC|OpenID|MCP|Envoy|Traefik|CAIP|ours/, term);
    }
    const names = terms.map(([, term]) => (term as string).toLowerCase());
    assert.deepEqual(names, [...names].sort());
  });
});
