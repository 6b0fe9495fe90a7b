import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { POSTERN_COMMAND } from '../support/postern-process.ts';

const run = promisify(execFile);
const HOME = fileURLToPath(new URL('../..', import.meta.url));
const QUESTION = fileURLToPath(new URL('../../src/cli/terminal-question.ts', import.meta.url));
const [ENTER, CTRL_C, CTRL_D] = ['\\r', '\\x03', '\\x04'];

/** Types each answer once a prompt (`: ` and then nothing) is there, at a pseudo-terminal of its own. Prints all that it shows, and the exit code. */
const TYPIST = `
import os, pty, select, sys, time
words = int(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:2 + words])
answers = [answer.encode().decode('unicode_escape').encode() for answer in sys.argv[2 + words:]]
shown, answered, end = b'', 0, time.time() + 100
while time.time() < end:
    ready, _, _ = select.select([fd], [], [], 0.2)
    if ready:
        try: part = os.read(fd, 4096)
        except OSError: break
        if not part: break
        shown += part
    elif answers and len(shown) > answered and shown.rstrip(b'\\x1b[0123456789GJ').endswith(b': '):
        answered = len(shown)
        os.write(fd, answers.pop(0))
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown + b'\\nCODE %d' % os.waitstatus_to_exitcode(status))
`;

describe('at a terminal', function () {
  this.timeout(120_000);
  let folder: string;

  before(async function () {
    folder = await mkdtemp(join(tmpdir(), 'postern-terminal-'));
    await run('python3', ['-c', 'import pty']).catch(() => {
      process.stderr.write('  skipped: no python3 that can open a terminal\n');
      this.skip();
    });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function type(command: readonly string[], answers: readonly string[]) {
    const { stdout } = await run('python3', ['-c', TYPIST, String(command.length), ...command, ...answers], {
      cwd: HOME,
    });
    const [, shown = '', code] = /^(.*)\nCODE (-?\d+)$/s.exec(stdout) ?? [];
    return { shown, code: Number(code) };
  }

  describe('a question', () => {
    async function typed(hidden: boolean, ...answers: string[]) {
      const code = `const { askAtTerminal } = await import(${JSON.stringify(QUESTION)});
for (let turn = 0; turn < ${answers.length}; turn++) console.log('GOT', String(await askAtTerminal('Name: ', ${hidden})));`;
      const { shown } = await type(
        [process.execPath, '--import=tsx', '--input-type=module', `--eval=${code}`],
        answers,
      );
      return { shown, got: [...shown.matchAll(/GOT (.*?)\r?$/gm)].map(([, answer]) => answer) };
    }

    it('gets one answer after the other, each shown once', async () => {
      const { shown, got } = await typed(false, `one${ENTER}`, `two${ENTER}`, `three${ENTER}`, `four${ENTER}`);
      assert.deepEqual(got, ['one', 'two', 'three', 'four']);
      // As it is typed, and by the program that got it.
      assert.equal(shown.match(/two/g)?.length, 2, shown);
    });

    it('shows nothing of a hidden one', async () => {
      const { shown, got } = await typed(true, `geheim${ENTER}`, ENTER);
      assert.deepEqual(got, ['geheim', '']);
      assert.equal(shown.match(/geheim/g)?.length, 1, shown);
    });

    for (const [key, name] of [
      [CTRL_D, 'Ctrl-D'],
      [CTRL_C, 'Ctrl-C'],
    ] as const)
      it(`has none where the person ends it by ${name}`, async () => {
        assert.deepEqual((await typed(false, `one${ENTER}`, key)).got, ['one', 'undefined']);
      });
  });

  describe('postern init', () => {
    const GOOD = ['nginx', 'keycloak', 'https://sso.example.com/realms/main', 'postern', 'geheim-geheim'];
    const dialogue = (name: string, answers: readonly string[]) =>
      type(
        [process.execPath, ...POSTERN_COMMAND, 'init', '--dir', join(folder, name)],
        answers.map((answer) => (/^\\x/.test(answer) ? answer : `${answer}${ENTER}`)),
      );

    it('asks for all, again where an answer is wrong, and writes a folder without showing the secret', async () => {
      const answers = [
        ...['9', 'ngnix', ...GOOD.slice(0, 1), 'keycloack', 'keycloak', 'sso.example.com', ...GOOD.slice(2)],
        ...['http://mcp.example.com', 'https://mcp.example.com/x', 'https://mcp.example.com', ''],
        ...['bad name=http://x', 'github', 'github=http://github-mcp:3000/mcp', '', 'engineering'],
      ];
      const { shown, code } = await dialogue('made', answers);
      assert.equal(code, 0, shown);
      assert.match(shown, /"9" is none of .*; write one of these names/);
      assert.match(shown, /did you mean nginx\?/);
      assert.match(shown, /did you mean keycloak\?/);
      assert.match(shown, /must be an address without a path/);
      assert.match(shown, /must be NAME=URL .*, and NAME has no space/);
      assert.doesNotMatch(shown, /geheim/);
      const written = await readFile(join(folder, 'made', 'postern.yaml'), 'utf8');
      for (const text of ['https://mcp.example.com', 'https://sso.example.com/realms/main', 'github', 'engineering'])
        assert.ok(written.includes(text), text);
    });

    for (const [key, name] of [
      [CTRL_C, 'Ctrl-C'],
      [CTRL_D, 'Ctrl-D'],
    ] as const)
      for (const before of [0, 2, 4])
        it(`writes nothing where the person ends it by ${name} after ${before} answers`, async () => {
          const place = `ended-${before}-${name}`;
          const { shown, code } = await dialogue(place, [...GOOD.slice(0, before), key]);
          assert.notEqual(code, 0, shown);
          assert.equal(existsSync(join(folder, place)) ? (await readdir(join(folder, place))).length : 0, 0);
        });
  });
});
