import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readCommandLine } from '../../src/cli/dispatch.ts';
import { COMMANDS } from '../../src/cli/main.ts';
import { cleanEnvironment } from '../support/run-postern.ts';
import { type Block, blocksOf, HOME, inlineCode, pages } from './pages.ts';
import { type ShellCommand, shellCommands } from './shell.ts';

const run = promisify(execFile);

/** Run by real tests with the arguments that matter; here their files are looked for. */
const RUN_BY: Readonly<Record<string, string>> = {
  caddy: 'test/e2e/proxies.test.ts',
  envoy: 'test/e2e/proxies.test.ts',
  nginx: 'test/e2e/proxies.test.ts',
  haproxy: 'test/e2e/haproxy.test.ts',
  traefik: 'test/e2e/traefik.test.ts',
  'oauth2-proxy': 'test/e2e/oauth2-proxy.test.ts',
  prometheus: 'test/grafana/live.test.ts',
  npx: 'test/e2e/clients/clients.test.ts',
};

/** Run as they stand, by a real shell in a copy of the page's folder. */
const RUN_HERE = ['export', '(umask', 'umask', 'sh', 'echo', 'printf'];

/** Why it is not run here. Files that it is given must exist all the same. */
const NOT_RUN: Readonly<Record<string, string>> = {
  kubectl: 'needs a cluster; the objects are checked against their schemas',
  helm: 'needs a cluster; the chart is rendered by test/deploy/kubernetes.test.ts',
  docker: 'needs an engine; images and compose files are checked where they are',
  git: 'needs the repository that a person clones',
  systemctl: 'needs systemd as process 1; the units are verified by test/deploy/systemd.test.ts',
  sudo: 'changes the machine',
  claude: 'a client of others',
  code: 'a client of others',
};

/** Made by an earlier line of the same block, or by the reader. */
const MADE_BY_READER = [
  'keys.yaml',
  'postern.yaml',
  'my-values.yaml',
  'proof.conf',
  'session-keys',
  'assertion-keys',
  'relay-session-key',
  'watch-key',
];

const shell = (text: string, cwd: string) =>
  run('bash', ['-euo', 'pipefail', '-c', text.replace(/\s*&$/, '')], {
    cwd,
    env: cleanEnvironment({
      CLIENT_SECRET: 'x',
      DEX_CLIENT_SECRET: 'x',
      CONTEXTFORGE_JWT_SECRET: 'x',
      CONTEXTFORGE_ENCRYPTION_SECRET: 'x',
      CONTEXTFORGE_ADMIN_PASSWORD: 'x',
      KEYCLOAK_CLIENT_SECRET: 'x',
      POSTERN_RELAY_TRUST_SECRET: 's'.repeat(43),
    }),
    timeout: 30_000,
  });

/** Whether the files that a command names are there, seen from its page and from the project. */
function assertFilesExist({ words }: ShellCommand, { page, text }: Block): void {
  const entered = [...text.matchAll(/^cd (\S+)/gm)].map(([, folder]) => folder as string);
  for (const word of words) {
    const file =
      /(?:^|=)((?:[\w./-]+\/)?[\w.-]+\.(?:ya?ml|cfg|conf|toml|sh|json|py|lua)|Caddyfile|deploy\/[\w./-]+)$/.exec(
        word,
      )?.[1];
    if (file === undefined || MADE_BY_READER.includes(file) || file.startsWith('/')) continue;
    const places = [page.folder, '.', `${page.folder}/forward-auth`, ...entered];
    assert.ok(
      places.some((place) => existsSync(join(HOME, place, file))),
      `${page.path}: ${file} is not there`,
    );
  }
}

function assertPostern(words: readonly string[]): void {
  const pipe = words.indexOf('|');
  const { command, line } = readCommandLine(COMMANDS, pipe < 0 ? words : words.slice(0, pipe));
  const [least, most] = command.positionals;
  const { length } = line.positionals;
  assert.ok(length >= least && length <= most, `${length} arguments; usage: ${command.usage}`);
}

/** Checks one command in the way that it can be checked. */
async function check(command: ShellCommand, block: Block): Promise<void> {
  const [program = '', ...words] = command.words;
  const posternWords = program === 'postern' ? words : isEntry(command.words) ? words.slice(1) : undefined;
  if (posternWords !== undefined) return assertPostern(posternWords);
  if (program === 'npm') return assertNpm(words);
  if (program === 'cd') return assert.ok(existsSync(join(HOME, words[0] as string)), command.text);
  if (Object.hasOwn(RUN_BY, program)) {
    assert.ok(existsSync(join(HOME, RUN_BY[program] as string)), RUN_BY[program]);
    return assertFilesExist(command, block);
  }
  if (Object.hasOwn(NOT_RUN, program) || /(?:check|env)\.sh$/.test(program)) return assertFilesExist(command, block);
  if (RUN_HERE.includes(program)) return inCopy(block, (folder) => shell(command.text, folder));
  assert.fail(`${block.page.path}: nothing checks \`${command.text}\``);
}

const isEntry = ([program, entry]: readonly string[]) => program === 'node' && entry === 'bin/postern.js';

function assertNpm([verb = '', script = '']: readonly string[]): void {
  const { scripts } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { scripts: object };
  if (['ci', 'install', 'pack'].includes(verb)) return;
  const name = verb === 'run' ? script : verb;
  assert.ok(Object.hasOwn(scripts, name), `npm has no script ${name}`);
}

/** What writes files does it in a copy of the page's folder. */
async function inCopy(block: Block, action: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-page-'));
  try {
    if (block.page.folder.startsWith('deploy/')) cpSync(join(HOME, block.page.folder), folder, { recursive: true });
    await action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('commands on the pages', function () {
  this.timeout(60_000);
  const shellBlocks = pages()
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'sh');

  it('are found, and no block of a shell hides under another name', () => {
    assert.ok(shellBlocks.length >= 15, String(shellBlocks.length));
    const others = pages()
      .flatMap(blocksOf)
      .map(({ language }) => language);
    assert.deepEqual(
      others.filter((language) => ['bash', 'shell', 'console', 'zsh'].includes(language)),
      [],
    );
  });

  for (const block of shellBlocks)
    for (const command of shellCommands(block.text))
      if (command.words[0] !== 'curl') it(`${block.page.path}: ${command.text}`, () => check(command, block));

  for (const page of pages())
    it(`in the text of ${page.path} are commands of postern`, () => {
      for (const code of inlineCode(page)) {
        const words = shellCommands(code)[0]?.words ?? [];
        const rest = words[0] === 'postern' ? words.slice(1) : isEntry(words) ? words.slice(2) : [];
        if (rest.length === 0) continue;
        // A name of an option without its value is what the text speaks of.
        if (rest.at(-1)?.startsWith('--')) rest.push('value');
        const choices = rest.findIndex((word) => /^[a-z-]+(?:\|[a-z-]+)+$/.test(word));
        const alternatives = choices === -1 ? [''] : (rest[choices] as string).split('|');
        for (const alternative of alternatives)
          try {
            readCommandLine(COMMANDS, choices === -1 ? rest : rest.with(choices, alternative));
          } catch (error) {
            assert.fail(`${code}: ${(error as Error).message}`);
          }
      }
    });

  it('that are wrong are noticed', async () => {
    const block: Block = { page: { path: 'x.md', folder: '.', text: '' }, language: 'sh', text: '' };
    for (const text of [
      'postern chekc',
      'postern check --nothing',
      'npm run nothing',
      'rm -rf x',
      'caddy run --config none.conf',
    ])
      await assert.rejects(async () => check(shellCommands(text)[0] as ShellCommand, block), text);
  });
});
