import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { goProgramOrSkip } from '../support/go-program.ts';

const run = promisify(execFile);
const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.7';
const HOME = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(HOME, '.github/workflows');
/** What a job may write; everything else it may at most read. */
const MAY_WRITE: Readonly<Record<string, readonly string[]>> = {
  image: ['packages', 'id-token', 'attestations'],
  page: ['contents'],
};

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly permissions: object;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly 'timeout-minutes'?: number;
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps: readonly Step[];
      }
    >
  >;
}

describe('the workflows', () => {
  const files = readdirSync(FOLDER);
  const texts = new Map(files.map((file) => [file, readFileSync(join(FOLDER, file), 'utf8')]));
  const workflows = [...texts].map(([file, text]) => ({ file, ...(parse(text) as Workflow) }));
  const steps = workflows.flatMap(({ jobs }) => Object.values(jobs).flatMap((job) => job.steps));

  it('are right in the eyes of actionlint, which finds a wrong one', async function () {
    this.timeout(300_000);
    const actionlint = await goProgramOrSkip(this, 'actionlint', ACTIONLINT);
    const lint = (path: string) => run(actionlint, ['-shellcheck=', '-pyflakes=', '-no-color', path]);
    for (const file of files) await lint(join(FOLDER, file));
    const folder = mkdtempSync(join(tmpdir(), 'postern-workflow-'));
    try {
      const wrong = join(folder, 'wrong.yaml');
      writeFileSync(wrong, (texts.get('ci.yaml') ?? '').replace('matrix.node', 'matrix.nodes'));
      await assert.rejects(lint(wrong), ({ stdout }: { stdout: string }) => /"nodes"/.test(stdout));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('pin every action by its commit, and say which version that is', () => {
    const uses = [...texts.values()].flatMap((text) => [...text.matchAll(/uses: (\S+)(.*)$/gm)]);
    assert.ok(uses.length >= 8);
    for (const [line, action = '', comment = ''] of uses) {
      assert.match(action, /@[0-9a-f]{40}$/, line);
      assert.match(comment, /^ # v\d+\.\d+\.\d+$/, line);
    }
    const versions = new Map<string, string>();
    for (const [line, action = ''] of uses) {
      const [name = '', commit = ''] = action.split('@');
      assert.equal(versions.get(name) ?? commit, commit, line);
      versions.set(name, commit);
    }
  });

  it('may do nothing but what each job needs, and end in time', () => {
    for (const { file, permissions, jobs } of workflows) {
      assert.deepEqual(permissions, {}, file);
      for (const [name, job] of Object.entries(jobs)) {
        assert.ok((job['timeout-minutes'] ?? 0) > 0, `${file} ${name}`);
        const written = Object.entries(job.permissions ?? {}).filter(([, level]) => level === 'write');
        assert.deepEqual(
          written.map(([scope]) => scope),
          MAY_WRITE[name] ?? [],
          `${file} ${name}`,
        );
      }
    }
  });

  it('run in shells nothing that somebody else can word', () => {
    for (const { run: script = '' } of steps) assert.doesNotMatch(script, /\$\{\{/, script);
  });

  it('leave no credential in a checkout', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    assert.ok(checkouts.length >= 3);
    for (const { with: settings } of checkouts) assert.equal(settings?.['persist-credentials'], false);
  });

  it('test by the script that everybody runs, and build images with their bill of materials and provenance', () => {
    for (const file of ['ci.yaml', 'release.yaml']) assert.match(texts.get(file) ?? '', /^ +- run: \.ci\/run$/m, file);
    const build = steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@'));
    assert.equal(build?.with?.sbom, true);
    assert.equal(build?.with?.provenance, 'mode=max');
  });

  it('take from the changelog what a release says', async () => {
    const script = steps.find(({ run: text }) => text?.includes('notes.md'))?.run?.split('\n')[0] ?? assert.fail();
    const folder = mkdtempSync(join(tmpdir(), 'postern-notes-'));
    try {
      writeFileSync(
        join(folder, 'CHANGELOG.md'),
        '# C\n\n## Unreleased\n\nno\n\n## 1.2.3 (2026-11-25)\n\n- yes\n\n## 1.2.2 (x)\n\nno\n',
      );
      await run('bash', ['-euc', script], { cwd: folder, env: { ...process.env, TAG: 'v1.2.3' } });
      assert.equal(readFileSync(join(folder, 'notes.md'), 'utf8').trim(), '- yes');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('find one version in the package and in the chart', () => {
    const { version } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { version: string };
    const chart = parse(readFileSync(join(HOME, 'deploy/kubernetes/chart/Chart.yaml'), 'utf8')) as {
      appVersion: string;
    };
    assert.equal(chart.appVersion, version);
  });
});
