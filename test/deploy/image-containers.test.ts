import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { INITIALIZE } from '../relay/hostile/support/relay-process.ts';
import { type Engine, engineOrSkip } from '../support/engine.ts';
import { freePorts } from '../support/free-port.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { until } from '../support/until.ts';

const IMAGE = 'postern:0.1.0';
const HOME = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);
/** What the Dockerfile copies, and what says how. */
const CONTEXT = ['Dockerfile', '.dockerignore', 'LICENSE', 'bin', 'deploy', 'src'].concat([
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
]);
/** Megabytes (10^6 bytes) that we add to the base. */
const OURS = 40;
const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--user', '12345', '--memory', '128m', '--network', 'host'];

/** The image as a person runs it by hand. */
describe('the image in a container', () => {
  let engine: Engine;
  let folder: string;
  let provider: TestProvider;
  const started: string[] = [];
  const figures: string[] = [];

  before(async function () {
    engine = await engineOrSkip(this);
    provider = await startOpenIdProvider();
    folder = await mkdtemp(join(tmpdir(), 'postern-image-'));
    const chmod = ['--user', '0', '--entrypoint', 'chmod', IMAGE, '755', '/f'];
    await engine.docker(['run', '--rm', '--volume', `${folder}:/f`, ...chmod]);
  });
  afterEach(async () => {
    for (const id of started.splice(0)) await engine.docker(['rm', '--force', id]);
  });
  after(async () => {
    if (figures.length > 0) process.stdout.write(`${figures.join('\n')}\n`);
    await provider?.stop();
    await engine?.docker(['volume', 'rm', '--force', VOLUME]);
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

  /** Rejects with what the container wrote, where it does not. */
  async function listens(id: string): Promise<void> {
    try {
      await until('it listens', async () => (await logs(id)).includes('"listening"'));
    } catch (error) {
      const { stdout, stderr } = await engine.docker(['logs', id]);
      throw new Error(`${stdout}${stderr}`, { cause: error });
    }
  }

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
  providers: [{ id: corp, issuer: "${provider.issuer}" }]
relay:
  listen: 127.0.0.1:${ports[2]}
  internalListen: 127.0.0.1:${ports[3]}
  trust: { proxies: [127.0.0.1/32], secret: the secret of the test with the image }
  servers:
    program: { command: node, args: [/etc/postern/program.mjs] }
    fetched:
      command: npx
      args: [-y, "@modelcontextprotocol/server-everything@2026.8.31", stdio]
      inheritEnv: [HOME, PATH, NODE_EXTRA_CA_CERTS, npm_config_registry, HTTPS_PROXY]
    streaming: { url: "http://127.0.0.1:${ports[4]}/mcp" }
`;
  /** Each session has a child whose own child outlives it. */
  const PROGRAM = `import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
spawn('sh', ['-c', '(sleep 0.2 &)'], { stdio: 'ignore' });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method !== 'initialize') continue;
  const result = { protocolVersion: params.protocolVersion, capabilities: {}, serverInfo: { name: 'p', version: '1' } };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
}
`;
  const VOLUME = `postern-test-${process.pid}`;

  /** A relay whose configuration, ports and logs are its own. */
  async function startRelay(options: readonly string[], more = '') {
    const ports = await freePorts(5);
    await replace(`${configuration(ports, 'a')}${more}`);
    await writeFile(join(folder, 'program.mjs'), PROGRAM, { mode: 0o644 });
    const id = await start([...options, ...MOUNT()], 'relay', '--config', '/etc/postern/postern.yaml');
    await listens(id);
    const ask = (server: string, method: string, session?: string, message?: object) =>
      fetch(`http://127.0.0.1:${ports[2]}/servers/${server}/mcp`, {
        method,
        headers: {
          'X-Postern-Proxy-Secret': 'the secret of the test with the image',
          'X-Authenticated-User': 'alice',
          'Content-Type': 'application/json',
          Accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
          ...(session === undefined ? {} : { 'Mcp-Session-Id': session }),
        },
        ...(message === undefined ? {} : { body: JSON.stringify(message) }),
      });
    const open = async (server: string) => {
      const answer = await ask(server, 'POST', undefined, INITIALIZE);
      const text = await answer.text();
      assert.equal(answer.status, 200, text);
      return answer.headers.get('mcp-session-id') ?? '';
    };
    return { id, ports, ask, open };
  }

  /** Ends by itself, not by the engine's SIGKILL after ten seconds. */
  async function assertEndsWell(id: string): Promise<void> {
    await engine.docker(['stop', id]);
    assert.equal(await inspect(id, '{{.State.ExitCode}} {{.State.OOMKilled}}'), '0 false');
  }

  /** What a start, a health check and an idle process cost; printed, not asserted, because it depends on the machine. */
  async function figuresOf(id: string): Promise<string> {
    const begun = Date.parse(await inspect(id, '{{.State.StartedAt}}'));
    const listening = (await logs(id)).split('\n').find((line) => line.includes('"listening"')) ?? '';
    const { time } = JSON.parse(listening) as { time: string };
    const check = 'time node bin/postern.js health > /dev/null';
    const { stderr } = await engine.docker(['exec', id, 'bash', '-c', `TIMEFORMAT='%U %S'; ${check}`]);
    const [user = 0, system = 0] = stderr.trim().split(' ').map(Number);
    const { stdout } = await engine.docker(['stats', '--no-stream', '--format', '{{.MemUsage}}', id]);
    // The engine has it in nanoseconds.
    const interval = Number(await inspect(id, '{{printf "%d" .Config.Healthcheck.Interval}}')) / 1e9;
    const share = ((user + system) / interval) * 100;
    return `listens after ${Date.parse(time) - begun} ms; a health check each ${interval} s takes ${share.toFixed(1)} % of a core; ${stdout.trim()}`;
  }

  it('adds little to its base', async () => {
    const size = async (image: string) => Number(await inspect(image, '{{.Size}}')) / 1e6;
    const base = /^ARG NODE=(\S+)$/m.exec(await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8'))?.[1];
    const ours = (await size(IMAGE)) - (await size(base as string));
    assert.ok(ours < OURS, `${ours.toFixed(1)} MB`);
  });

  it('is readable for its user, built of a checkout with umask 077', async function () {
    this.timeout(600_000);
    const closed = `postern-test:closed-${process.pid}`;
    const checkout = await mkdtemp(join(tmpdir(), 'postern-checkout-'));
    try {
      for (const name of CONTEXT) await cp(join(HOME, name), join(checkout, name), { recursive: true });
      await run('chmod', ['-R', 'go=', checkout]);
      await engine.docker(['build', '--quiet', '--network', 'host', '--tag', closed, checkout], {
        env: { DOCKER_BUILDKIT: '0' },
      });
      // `init` reads the files of deploy/ as well.
      const inside = ['run', '--rm', ...HARDENED];
      await engine.docker([...inside, closed, '--version']);
      const unreadable = ['/app', '-not', '-readable', '-o', '-type', 'd', '-not', '-executable'];
      const { stdout } = await engine.docker([...inside, '--entrypoint', 'find', closed, ...unreadable]);
      assert.equal(stdout, '');
    } finally {
      await engine.docker(['image', 'rm', '--force', closed]);
      await rm(checkout, { recursive: true, force: true });
    }
  });

  for (const part of ['auth', 'relay'])
    it(`runs ${part} as another user, without a disk and capabilities, is healthy, and ends with 0`, async function () {
      this.timeout(120_000);
      const ports = await freePorts(5);
      await replace(configuration(ports, 'a'));
      const id = await start([...HARDENED, ...MOUNT()], part, '--config', '/etc/postern/postern.yaml');
      await listens(id);
      const { stdout } = await engine.docker(['exec', id, 'node', 'bin/postern.js', 'health']);
      assert.match(stdout, new RegExp(`^${part}: ready`));
      figures.push(`${part}: ${await figuresOf(id)}`);
      await assertEndsWell(id);
    });

  it('reads a file that an editor replaced, by itself and by SIGHUP', async function () {
    this.timeout(120_000);
    const ports = await freePorts(5);
    await replace(configuration(ports, 'a'));
    const id = await start([...HARDENED, ...MOUNT()], 'auth', '--config', '/etc/postern/postern.yaml');
    await listens(id);
    // In a container of its own: 128 MiB are for the process.
    const checked = [
      'run',
      '--rm',
      '--network',
      'host',
      ...MOUNT(),
      IMAGE,
      'check',
      '--config',
      '/etc/postern/postern.yaml',
    ];
    const explained = async () => (await engine.docker(checked)).stdout;
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

  it('leaves nothing of the programs behind, within a few processes', async function () {
    this.timeout(180_000);
    const { id, ask, open } = await startRelay(['--init', '--pids-limit', '60', ...HARDENED]);
    for (let turn = 0; turn < 40; turn++) {
      const session = await open('program');
      assert.equal((await ask('program', 'DELETE', session)).ok, true);
    }
    const count = async () =>
      (await engine.docker(['top', id, '-o', 'pid,stat,args'])).stdout.trim().split('\n').slice(1);
    await until('all have ended and are reaped', async () => (await count()).length <= 2);
    await assertEndsWell(id);
  });

  it('ends in time with open streams, which end cleanly', async function () {
    this.timeout(120_000);
    const { id, ports, ask, open } = await startRelay(HARDENED);
    const upstream = streamingServer();
    upstream.listen(ports[4], '127.0.0.1');
    await once(upstream, 'listening');
    const session = await open('streaming');
    const streams = await Promise.all(Array.from({ length: 5 }, () => ask('streaming', 'GET', session)));
    const texts = streams.map((stream) => stream.text());
    await assertEndsWell(id);
    for (const text of await Promise.all(texts)) assert.match(text, /data: /);
    upstream.closeAllConnections();
    upstream.close();
  });

  it('runs a program that npx fetches, without another disk than /tmp', async function () {
    this.timeout(300_000);
    const home = ['--tmpfs', '/tmp:exec,mode=1777,size=512m', '--env', 'HOME=/tmp', '--memory', '768m'];
    const hardened = ['--init', '--read-only', '--cap-drop', 'ALL', '--user', '12345', '--network', 'host'];
    const { id, open } = await startRelay([...hardened, ...home]);
    await open('fetched');
    await assertEndsWell(id);
  });

  it('writes its audit file to a named volume, where it stays', async function () {
    this.timeout(120_000);
    const options = ['--read-only', '--cap-drop', 'ALL', '--network', 'host', '--volume', `${VOLUME}:/var/log/postern`];
    const audit = 'audit: { file: { path: "/var/log/postern/{process}.jsonl" } }\n';
    const first = await startRelay(options, audit);
    await first.open('program');
    await assertEndsWell(first.id);
    const second = await startRelay(options, audit);
    const { stdout } = await engine.docker(['exec', second.id, 'cat', '/var/log/postern/relay.jsonl']);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { user?: string });
    assert.ok(
      lines.some(({ user }) => user?.endsWith('alice')),
      stdout,
    );
    await assertEndsWell(second.id);
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

/** An MCP server whose streams stay open and say something at once. */
function streamingServer(): Server {
  return createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
      return;
    }
    const result = {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 's', version: '1' },
    };
    response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': 'one' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
  });
}
