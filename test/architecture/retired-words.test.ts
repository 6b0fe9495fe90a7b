import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'mocha';
import { readText, retiredTexts, textsForPeople } from './retired-texts.ts';
import { retiredWords } from './retired-words.ts';

const HOME = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(HOME, 'src');

describe('retired words', () => {
  it('stand in no exported name and in no text of the program', async () => {
    const found: string[] = [];
    for (const file of await readdir(SRC, { recursive: true }))
      if (file.endsWith('.ts')) found.push(...retiredWords(file, await readFile(join(SRC, file), 'utf8')));
    assert.deepEqual(found, []);
  });

  it('stand in no page, deployment file, dashboard or alert', () => {
    const texts = textsForPeople(HOME);
    for (const path of [
      'docs/policy.md',
      'deploy/caddy/Caddyfile',
      'grafana/rules/alerts.yaml',
      'README.md',
      'deploy/systemd/postern-relay.service',
      'deploy/nginx/proof.conf.template',
    ])
      assert.ok(texts.includes(path), `${path} is not looked at`);
    assert.deepEqual(
      texts.flatMap((path) => retiredTexts(path, readText(HOME, path))),
      [],
    );
  });

  const sentences = [
    '# SECURITY: nobody is believed',
    '| Whoever asks',
    'see "elsewhere"',
    'X is no address',
    'the body is no JSON',
    '<th>May do</th>',
    '2. **Take a folder.**',
    '<h2>Lately</h2>',
    'Changes things: says it does not',
  ];
  for (const sentence of sentences)
    it(`are found in the line ${sentence}`, () => assert.equal(retiredTexts('a.md', `first\n${sentence}\n`).length, 1));

  const planted: ReadonlyArray<readonly [title: string, file: string, source: string]> = [
    ['an exported class', 'relay/a.ts', 'export class HeldSession {}'],
    ['an exported type', 'relay/a.ts', `export type Way = 'proxy';`],
    ['an exported constant', 'relay/a.ts', 'export const IGNORE = () => {};'],
    ['an exported function', 'relay/a.ts', 'export async function hear() {}'],
    ['a text', 'relay/a.ts', `log.info('somebody signed in');`],
    ['a template', 'relay/a.ts', 'throw new Error(`the relay is about to end`);'],
    ['a type of forward-auth', 'forward-auth/a.ts', 'export interface Question {}'],
    ['a type of a result', 'relay/a.ts', 'export type WhoVerdict = string;'],
    ['a name of a file of forward-auth', 'forward-auth/login/request-place.ts', ''],
    ['a name of a file of the stores', 'stores/redis/announcements.ts', ''],
    ['a name of a file', 'relay/eras/sessions/said.ts', ''],
  ];
  for (const [title, file, source] of planted)
    it(`are found in ${title}`, () => assert.equal(retiredWords(file, source).length, 1));

  it('may stand in comments and in names of other things', () => {
    const source = `/** whoever asks */\nexport type Wayfinder = 1; // nobody\nexport const heading = 'one of many';`;
    assert.deepEqual(retiredWords('relay/a.ts', source), []);
  });
});
