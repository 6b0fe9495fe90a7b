import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Child } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { startPostern } from '../support/postern-process.ts';
import { rawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

const CONNECTIONS = 8;
const QUESTION = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Uri': '/page',
  'X-Forwarded-Host': 'mcp.example.com',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-For': '203.0.113.7',
};

/** Asks without a pause over a few connections. */
class Crowd {
  /** Answers by status; an error counts as its message. */
  readonly answers = new Map<string, number>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #running: Promise<void>[];
  readonly #port: number;
  #over = false;

  constructor(port: number) {
    this.#port = port;
    this.#running = Array.from({ length: CONNECTIONS }, () => this.#run());
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#running);
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const answer = await this.#ask().catch((error: Error) => error.message);
      this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
    }
  }

  #ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      const asked = request({ port: this.#port, path: '/verify/traefik', headers: QUESTION, agent: this.#agent });
      asked.on('error', reject);
      asked.on('response', (answer) => answer.resume().on('end', () => resolve(String(answer.statusCode))));
      asked.end();
    });
  }
}

describe('postern auth reads its configuration again', () => {
  let folder: string;
  let file: string;
  let ports: [number, number];
  let auth: Child;
  let crowd: Crowd;

  const written = (rules: unknown) =>
    stringify({
      publicUrl: 'https://mcp.example.com',
      auth: { listen: `127.0.0.1:${ports[0]}`, internalListen: `127.0.0.1:${ports[1]}`, rules },
    });
  const OPEN = [{ match: { path: '/page' }, public: true }];
  const CLOSED = [{ match: { path: '/other' }, public: true }];
  const status = async () =>
    (await rawRequest(ports[0], '/verify/traefik', { headers: Object.entries(QUESTION).flat() })).status;
  const becomes = (wanted: number) => until(`the page answers ${wanted}`, async () => (await status()) === wanted);
  /** As a ConfigMap is mounted. */
  const mount = (name: string, rules: unknown) => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'postern.yaml'), written(rules));
    symlinkSync(name, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-reload-'));
    file = join(folder, 'postern.yaml');
    ports = (await freePorts(2)) as [number, number];
    mount('..one', OPEN);
    symlinkSync('..data/postern.yaml', file);
    auth = await startPostern('auth', file, ports[1]);
    crowd = new Crowd(ports[0]);
  });
  after(async () => {
    await crowd.stop();
    await auth.stop();
    rmSync(folder, { recursive: true });
  });

  it('when Kubernetes turns the link of a ConfigMap', async () => {
    await becomes(200);
    mount('..two', CLOSED);
    await becomes(403);
  });

  it('not when it is wrong, and says so', async () => {
    const wrong = join(folder, 'wrong');
    writeFileSync(wrong, written([{ match: { path: '/page' }, publik: true }]));
    renameSync(wrong, file);
    await until('the wrong file is noticed', () => auth.output.includes('the one before goes on'));
    assert.match(auth.output, /auth\.rules\[0\]: unknown key|auth\.rules\[0\]\.publik: unknown key/);
    writeFileSync(wrong, 'auth: [');
    renameSync(wrong, file);
    await until('the broken file is noticed', () => auth.output.split('the one before goes on').length === 3);
    assert.equal(await status(), 403);
  });

  it('not when it was cut short, wherever', async () => {
    const whole = written([
      { match: { path: '/other' }, public: true },
      { match: { path: '/page' }, allow: { groups: ['admins'] } },
    ]);
    const said = () => auth.output.split('the one before goes on').length;
    writeFileSync(file, whole);
    await becomes(401);
    for (const end of ['rules:\n', '/page\n', 'allow:\n', '/oth', 'publicUrl', '']) {
      const before = said();
      writeFileSync(file, whole.slice(0, whole.indexOf(end) + (end === '' ? 0 : end.length)));
      auth.signal('SIGHUP');
      await until(`the file cut after "${end}" is refused`, () => said() > before);
      assert.equal(await status(), 401, end);
    }
    // Meant to be shorter: it is not the beginning of the file before.
    writeFileSync(file, `# one rule\n${written(CLOSED)}`);
    await becomes(403);
  });

  it('when an editor puts a new file in the place of the old one', async () => {
    writeFileSync(join(folder, 'new'), written(OPEN));
    renameSync(join(folder, 'new'), file);
    await becomes(200);
  });

  it('at SIGHUP, however often it comes', async () => {
    writeFileSync(file, written(CLOSED));
    for (let i = 0; i < 5; i++) auth.signal('SIGHUP');
    await becomes(403);
    assert.ok(!auth.ended);
  });

  it('without an answer that is missing or wrong', async () => {
    const before = crowd.answers.get('403') ?? 0;
    await until('more was asked', () => (crowd.answers.get('403') ?? 0) > before + 100);
    assert.deepEqual([...crowd.answers.keys()].sort(), ['200', '401', '403']);
    const { body } = await rawRequest(ports[1], '/metrics');
    assert.match(body, /postern_config_reloads_total\{process="forward-auth",outcome="rejected"\} [89]/);
  });
});
