import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, engineOrSkip } from '../support/engine.ts';
import { freePorts } from '../support/free-port.ts';
import { until } from '../support/until.ts';

const IMAGE = 'postern:0.1.0';
/** Megabytes (10^6 bytes) that we add to the base. */
const OURS = 40;
const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--user', '12345', '--memory', '128m', '--network', 'host'];

/** The image as a person runs it by hand. */
describe('the image in a container', () => {
  let engine: Engine;
  let folder: string;
  const started: string[] = [];

  before(async function () {
    engine = await engineOrSkip(this);
    folder = await mkdtemp(join(tmpdir(), 'postern-image-'));
    await engine.docker([
      'run',
      '--rm',
      '-v',
      `${folder}:/f`,
      '--user',
      '0',
      '--entrypoint',
      'chmod',
      IMAGE,
      '755',
      '/f',
    ]);
  });
  afterEach(async () => {
    for (const id of started.splice(0)) await engine.docker(['rm', '--force', id]);
  });
  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** @returns the container's id */
  async function start(options: readonly string[], ...command: string[]): Promise<string> {
    const { stdout } = await engine.docker(['run', '--detach', ...options, IMAGE, ...command]);
    const id = stdout.trim();
    started.push(id);
    return id;
  }
  const inspect = async (id: string, format: string) =>
    (await engine.docker(['inspect', '--format', format, id])).stdout.trim();
  const logs = async (id: string) => (await engine.docker(['logs', id])).stdout;

  /** Written as editors do it: another file takes its place. */
  async function replace(text: string): Promise<void> {
    await writeFile(join(folder, 'new.yaml'), text, { mode: 0o644 });
    await rename(join(folder, 'new.yaml'), join(folder, 'postern.yaml'));
  }
  const MOUNT = () => ['--volume', `${folder}:/etc/postern:ro`];
  const configuration = (ports: readonly number[], group: string) => `publicUrl: http://127.0.0.1:8080
auth:
  listen: 127.0.0.1:${ports[0]}
  internalListen: 127.0.0.1:${ports[1]}
  rules: [{ match: { path: /** }, allow: { groups: [${group}] } }]
  providers: [{ id: corp, issuer: "http://127.0.0.1:1" }]
relay:
  listen: 127.0.0.1:${ports[2]}
  internalListen: 127.0.0.1:${ports[3]}
  trust: { proxies: [127.0.0.1/32], secret: the secret of the test with the image }
  servers:
    program: { command: [sh, -c, "(sleep 0.1 &) ; exec cat"] }
`;

  it('adds little to its base', async () => {
    const size = async (image: string) => Number(await inspect(image, '{{.Size}}')) / 1e6;
    const base = /^ARG NODE=(\S+)$/m.exec(await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8'))?.[1];
    const ours = (await size(IMAGE)) - (await size(base as string));
    assert.ok(ours < OURS, `${ours.toFixed(1)} MB`);
  });

  for (const part of ['auth', 'relay'])
    it(`runs ${part} as another user, without a disk and capabilities, is healthy, and ends with 0`, async function () {
      this.timeout(120_000);
      const ports = await freePorts(4);
      await replace(configuration(ports, 'a'));
      const id = await start([...HARDENED, ...MOUNT()], part, '--config', '/etc/postern/postern.yaml');
      await until('it listens', async () => (await logs(id)).includes('"listening"'));
      const { stdout } = await engine.docker(['exec', id, 'node', 'bin/postern.js', 'health']);
      assert.match(stdout, new RegExp(`^${part}: ready`));
      await engine.docker(['stop', id]);
      assert.equal(await inspect(id, '{{.State.ExitCode}} {{.State.OOMKilled}}'), '0 false');
    });

  it('reads a file that an editor replaced, by itself and by SIGHUP', async function () {
    this.timeout(120_000);
    const ports = await freePorts(4);
    await replace(configuration(ports, 'a'));
    const id = await start([...HARDENED, ...MOUNT()], 'auth', '--config', '/etc/postern/postern.yaml');
    await until('it listens', async () => (await logs(id)).includes('"listening"'));
    const explained = async () =>
      (await engine.docker(['exec', id, 'node', 'bin/postern.js', 'check', '--config', '/etc/postern/postern.yaml']))
        .stdout;
    const configz = async () => (await fetch(`http://127.0.0.1:${ports[1]}/configz`)).text();
    for (const [group, hangUp] of [
      ['b', false],
      ['c', true],
    ] as const) {
      const before = await configz();
      await replace(configuration(ports, group));
      if (hangUp) await engine.docker(['kill', '--signal', 'HUP', id]);
      await until('the new file is what runs', async () => (await configz()) !== before);
      assert.doesNotMatch(await explained(), /another configuration/);
    }
  });

  it('says what an engine made of a file that is not there', async function () {
    this.timeout(60_000);
    const missing = join(folder, 'not-there.yaml');
    const id = await start([...HARDENED, '--volume', `${missing}:/etc/p.yaml:ro`], 'auth', '--config', '/etc/p.yaml');
    await until('it has ended', async () => (await inspect(id, '{{.State.Status}}')) === 'exited');
    const { stderr } = await engine.docker(['logs', id]);
    assert.match(stderr, /EISDIR\): it is a folder/);
    assert.equal(await inspect(id, '{{.State.ExitCode}}'), '78');
  });
});
