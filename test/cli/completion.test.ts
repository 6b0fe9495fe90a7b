import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMON_OPTIONS } from '../../src/cli/command.ts';
import { COMMANDS, main } from '../../src/cli/main.ts';
import { cleanEnvironment } from '../support/run-postern.ts';

interface Shell {
  /** Runs its completion for words of a command line, of which the last is begun; one suggestion a line. */
  readonly driver: (script: string, words: readonly string[]) => string;
  readonly args: (driver: string) => readonly string[];
}

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: {
    driver: (script, words) => `. '${script}'
COMP_WORDS=(${quoted(words)}); COMP_CWORD=${words.length - 1}
_postern; printf '%s\\n' "\${COMPREPLY[@]}"`,
    args: (driver) => ['--norc', driver],
  },
  zsh: {
    // Without a line editor: what would be offered is printed.
    driver: (script, words) => `compdef() { :; }
_files() { :; }
compadd() { shift; print -l -- "$@"; }
_describe() { print -l -- "\${(@)\${(@P)2}%%:*}"; }
source '${script}'
words=(${quoted(words)}); CURRENT=${words.length}
_postern | grep -- "^\${words[CURRENT]}" || true`,
    args: (driver) => ['-f', driver],
  },
  fish: {
    driver: (script, words) => `source '${script}'
complete --do-complete '${words.join(' ')}' | string replace -r '\\t.*' ''; true`,
    args: (driver) => ['--no-config', driver],
  },
};

const isThere = (shell: string) => {
  try {
    execFileSync(shell, ['-c', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

describe('postern completion', function () {
  this.timeout(30_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-completion-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function run(argv: string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const print = (text: string) => void out.push(text);
    const code = await main(argv, { env: {}, print, printError: (text) => void err.push(text) });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  for (const [shell, { driver, args }] of Object.entries(SHELLS))
    describe(`of ${shell}`, () => {
      before(async function () {
        if (!isThere(shell)) {
          process.stderr.write(`  skipped: no ${shell} is installed\n`);
          this.skip();
        }
        writeFileSync(join(folder, shell), (await run(['completion', shell])).out);
      });

      const complete = (...words: string[]): string[] => {
        const file = join(folder, `${shell}-driver`);
        writeFileSync(file, driver(join(folder, shell), ['postern', ...words]));
        const text = execFileSync(shell, args(file), {
          encoding: 'utf8',
          env: cleanEnvironment({ HOME: folder }),
          cwd: folder,
        });
        return text
          .split('\n')
          .filter((line) => line !== '')
          .sort();
      };

      it('offers every command', () => {
        const offered = complete('');
        for (const name of Object.keys(COMMANDS)) assert.ok(offered.includes(name), name);
      });

      for (const [words, expected] of [
        [['ex'], ['explain']],
        [['s'], ['secrets', 'sessions', 'suspend']],
        [['--config', 'x.yaml', 'do'], ['doctor']],
        [
          ['init', '--pro'],
          ['--provider', '--proxy'],
        ],
        [
          ['init', '--proxy', 'en'],
          ['envoy', 'envoy-grpc'],
        ],
        [
          ['secrets', '--format', ''],
          ['env', 'yaml'],
        ],
        [
          ['config', ''],
          ['reference', 'schema', 'texts'],
        ],
        [['api-keys', 're'], ['revoke']],
        [['completion', 'z'], ['zsh']],
        [['up', '--q'], ['--quiet']],
        [['nothing', 'x'], []],
      ] as const)
        it(`offers ${expected.join(', ') || 'nothing'} after "${words.join(' ')}"`, () => {
          assert.deepEqual(
            complete(...words).filter((word) => words[0] !== 'config' || !word.startsWith('--')),
            expected,
          );
        });

      // The others take it for one word, and complete it by themselves.
      if (shell === 'bash')
        it('takes a value that stands behind =', () => {
          assert.deepEqual(complete('init', '--proxy', '=', 'ca'), ['caddy']);
          assert.deepEqual(complete('secrets', '--format', '='), ['env', 'yaml']);
        });

      it('offers every option of every command, and no other', () => {
        for (const [name, { options }] of Object.entries(COMMANDS)) {
          const expected = Object.keys({ ...options, ...COMMON_OPTIONS }).map((option) => `--${option}`);
          assert.deepEqual(complete(name, '--'), expected.sort(), name);
        }
      });
    });

  it('names the shells that it has', async () => {
    for (const shell of ['tcsh', 'constructor']) {
      const { code, err } = await run(['completion', shell]);
      assert.equal(code, 64);
      assert.match(err, /bash, zsh, fish/);
    }
  });
});
