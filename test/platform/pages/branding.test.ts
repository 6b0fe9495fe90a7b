import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { pagesSchema } from '../../../src/platform/config/pages-schema.ts';
import { openBranding } from '../../../src/platform/pages/branding.ts';
import { html } from '../../../src/platform/pages/html.ts';
import { PageSite } from '../../../src/platform/pages/page.ts';
import { ENGLISH } from '../../../src/platform/pages/texts/english.ts';
import { FRENCH } from '../../../src/platform/pages/texts/french.ts';
import { GERMAN } from '../../../src/platform/pages/texts/german.ts';

// Imported as the command imports it: mocha itself would load each module a second time.
const command = async () => (await import('../../../src/cli/main.ts')).main;

const HTML = '<script>alert(1)</script><img src=x onerror=alert(2)>';
const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex');
const SCRIPTED = `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>`;

describe('branding', function () {
  this.timeout(20_000);
  let folder: string;
  const at = (name: string) => join(folder, name);
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(at(name), content);
    return at(name);
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-branding-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function checked(pages: object): Promise<{ code: number; text: string }> {
    const out: string[] = [];
    const print = (line: string) => void out.push(line);
    const env = { POSTERN_CONFIG: file('postern.yaml', JSON.stringify({ auth: { pages } })) };
    return { code: await (await command())(['check'], { env, print, printError: print }), text: out.join('\n') };
  }

  /** By the key: what is wrong, the value, and what check says of it with the fix. */
  const wrong: ReadonlyArray<readonly [what: string, key: string, value: () => unknown, says: RegExp]> = [
    ['a name of a color', 'colors.light', () => 'blue', /must be a color such as #1746c7/],
    ['a color that is too pale', 'colors.light', () => '#ffff00', /contrast of 1\.1 .*choose a darker one/],
    ['a color that is too dark', 'colors.dark', () => '#000000', /contrast of .*choose a lighter one/],
    ['a color with more CSS', 'colors.dark', () => '#1746c7;}body{display:none', /must be a color such as #1746c7/],
    ['a logo at a URL', 'logoPath', () => 'https://example.com/logo.svg', /path of a file, not a URL; save the logo/],
    ['a logo that is a script', 'logoPath', () => 'javascript:alert(1)', /path of a file, not a URL; save the logo/],
    ['a logo in a URL', 'logoPath', () => 'data:image/svg+xml,<svg/>', /path of a file, not a URL; save the logo/],
    ['a logo of another kind', 'logoPath', () => file('logo.gif', 'GIF89a'), /must end in \.svg, \.png, \.webp/],
    ['HTML for a logo', 'logoPath', () => file('logo.png', '<html>'), /is not image\/png, as its name says; save/],
    ['a logo that is too large', 'logoPath', () => file('l.png', Buffer.alloc(300_000)), /must be 1 to 262144 bytes/],
    ['a script for help', 'help', () => 'javascript:alert(1)', /a name, an e-mail address or a URL of http or https/],
    ['a file for help', 'help', () => 'file:///etc/passwd', /a name, an e-mail address or a URL of http or https/],
    ['no name', 'name', () => '', /must not be empty/],
    ['an unknown key', 'colours', () => ({}), /unknown key; did you mean `colors`/],
    [
      'a text that there is not',
      'textsPath',
      () => file('a.yaml', 'en: { home.titel: x }'),
      /en\.home\.titel: there is no such text; did you mean home\.title\?/,
    ],
    [
      'a placeholder that there is not',
      'textsPath',
      () => file('b.yaml', 'de: { "help.default": "{help}" }'),
      /de\.help\.default: \{help\} has no value here; known: none/,
    ],
    ['no language', 'textsPath', () => file('c.yaml', 'a_b: {}'), /a_b: is not a language tag such as de or pt-BR/],
    ['texts that are a list', 'textsPath', () => file('d.yaml', 'en: [x]'), /en: must be a map of keys, not a list/],
    [
      'texts that are one text',
      'textsPath',
      () => file('f.yaml', 'Hello'),
      /the file: must be a map of keys, not a text/,
    ],
    [
      'a text that is a number',
      'textsPath',
      () => file('g.yaml', 'en: { home.title: 5 }'),
      /en\.home\.title: must be a text, not a number; write it in quotes/,
    ],
    [
      'an empty text',
      'textsPath',
      () => file('h.yaml', 'en: { home.title: "" }'),
      /en\.home\.title: must not be empty/,
    ],
    [
      'a text that is too long',
      'textsPath',
      () => file('i.yaml', `en: { home.title: ${'x'.repeat(2_001)} }`),
      /en\.home\.title: must have at most 2000 characters/,
    ],
    ['texts that are no YAML', 'textsPath', () => file('e.yaml', 'en: {'), /is not YAML/],
  ];
  for (const [what, key, value, says] of wrong)
    it(`is refused by check with ${what}, by key and with the fix`, async () => {
      const [name = '', inner] = key.split('.');
      const given = value();
      const { code, text } = await checked({ [name]: inner === undefined ? given : { [inner]: given } });
      assert.equal(code, 78, text);
      assert.match(text, new RegExp(`^auth\\.pages\\.${key.replace('.', '\\.')} \\(\\S+:1\\): .*${says.source}`, 'm'));
    });

  it('is taken by check if it can be used, and only warned of if a file is not there', async () => {
    const logo = file('good.png', PNG);
    const texts = file('good.yaml', '{ en: { home.title: Hello }, pl: { home.title: Witamy } }');
    const pages = { name: 'Acme', colors: { light: '#0b6b3a' }, help: 'Acme: the platform team', logoPath: logo };
    const right = await checked({ ...pages, textsPath: texts });
    assert.equal(right.code, 0, right.text);
    const missing = await checked({ ...pages, logoPath: at('missing.svg') });
    assert.equal(missing.code, 0);
    assert.match(missing.text, /warning: auth\.pages\.logoPath .*there is no file/);
  });

  it('takes what `postern config texts` prints, with every text in English', async () => {
    const out: string[] = [];
    await (await command())(['config', 'texts'], {
      env: {},
      print: (line) => void out.push(line),
      printError: assert.fail,
    });
    const texts = file('english.yaml', out.join('\n'));
    assert.deepEqual(parse(out.join('\n')), { en: ENGLISH });
    assert.equal((await checked({ textsPath: texts })).code, 0);
  });

  it('shows HTML of name, help and texts as text, and runs nothing of a logo', () => {
    const texts = file('html.json', JSON.stringify({ en: { 'home.title': HTML, 'page.home': HTML } }));
    const logoPath = file('scripted.svg', SCRIPTED);
    const pages = pagesSchema.parse({ name: HTML, help: HTML, permissions: { x: HTML }, logoPath, textsPath: texts });
    const site = new PageSite('/assets', openBranding(pages));
    const say = site.say('en');
    const body = html`${site.help(say)}${say('page.home')}${say.permission('x')}`;
    for (const standalone of [false, true]) {
      const page = site.render({ title: say('home.title'), body, say, person: HTML }, { standalone });
      assert.doesNotMatch(page.body, /<script|<img src=x|onload=/);
      assert.equal(page.body.match(/&#60;script&#62;alert\(1\)/g)?.length, 8);
      const policy = page.headers['Content-Security-Policy'] ?? '';
      assert.match(policy, /^default-src 'none';/);
      assert.doesNotMatch(policy, /script-src|unsafe/);
    }
  });

  for (const [language, texts] of Object.entries({ German: GERMAN, French: FRENCH }))
    it(`has every text in ${language}, with the same placeholders and in words of its own`, () => {
      assert.deepEqual(Object.keys(texts).sort(), Object.keys(ENGLISH).sort());
      const placeholders = (text: string) => [...new Set(text.match(/\{[a-z]+\}/g) ?? [])].sort();
      const same: string[] = [];
      for (const key of Object.keys(ENGLISH) as Array<keyof typeof ENGLISH>) {
        assert.notEqual(texts[key].trim(), '', key);
        assert.deepEqual(placeholders(texts[key]), placeholders(ENGLISH[key]), key);
        if (texts[key] === ENGLISH[key]) same.push(key);
      }
      // "Sessions" and "Permissions" are French too.
      assert.ok(same.length < 12, same.join());
    });
});
