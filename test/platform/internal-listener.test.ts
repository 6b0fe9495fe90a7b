import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { Counter, Registry } from 'prom-client';
import { drain, listen } from '../../src/platform/http.ts';
import { createInternalServer } from '../../src/platform/internal-listener.ts';
import type { Logger } from '../../src/platform/log.ts';
import { type DependencyCheck, Readiness } from '../../src/platform/readiness.ts';

describe('internal listener', () => {
  let server: Server;
  const start = (checks: Record<string, DependencyCheck>) => startReady(new Readiness(checks));
  const startReady = async (readiness: Readiness) => {
    const registry = new Registry();
    new Counter({ name: 'a_total', help: 'a', registers: [registry] }).inc();
    server = createInternalServer(registry, readiness);
    return `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
  };
  afterEach(() => drain(server, 0));

  it('is alive whatever its dependencies do', async () => {
    const url = await start({ store: () => 'down' });
    assert.equal((await fetch(`${url}/healthz?a=b`)).status, 200);
  });

  it('is ready while it can serve something, and says how its dependencies are; strictly, where all answer', async () => {
    let problem: string | undefined;
    let serving = true;
    const readiness = new Readiness(
      {
        store: async () => problem,
        keys: () => {
          if (problem !== undefined) throw new Error('secret detail');
          return undefined;
        },
      },
      (states) => serving && states.store !== 'everything is gone',
    );
    const url = await startReady(readiness);
    const ask = async (query = '') => {
      const answer = await fetch(`${url}/readyz${query}`);
      return { status: answer.status, body: (await answer.json()) as unknown };
    };
    const fine = { status: 200, body: { status: 'ready', dependencies: { store: 'ok', keys: 'ok' } } };
    assert.deepEqual(await ask(), fine);
    assert.deepEqual(await ask('?strict'), fine);
    problem = 'no connection';
    const dependencies = { store: 'no connection', keys: 'does not answer' };
    assert.deepEqual(await ask(), { status: 200, body: { status: 'ready', dependencies } });
    for (const query of ['?strict', '?strict=true', '?a=b&strict'])
      assert.deepEqual(await ask(query), { status: 503, body: { status: 'not ready', dependencies } }, query);
    problem = 'everything is gone';
    assert.equal((await ask()).status, 503);
    problem = undefined;
    serving = false;
    assert.deepEqual((await ask()).body, { status: 'not ready', dependencies: fine.body.dependencies });
    serving = true;
    readiness.drain();
    for (const query of ['', '?strict'])
      assert.deepEqual(await ask(query), { status: 503, body: { ...fine.body, status: 'draining' } });
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  it('is not ready at the start until what it waits for has answered once, or for long enough', async () => {
    const states: Record<string, string | undefined> = { store: 'no connection', other: 'gone' };
    let now = 0;
    const start = { for: ['store'], atMost: 10_000, now: () => now };
    const checks = { store: () => states.store, other: () => states.other };
    const ready = async (readiness: Readiness) => (await readiness.report(false)).ready;
    const patient = new Readiness(checks, () => true, start);
    const late = new Readiness(checks, () => true, start);
    for (now of [0, 5_000, 9_999]) assert.equal(await ready(patient), false, `${now}`);
    states.store = undefined;
    assert.equal(await ready(patient), true, 'what else is wrong takes away only what needs it');
    states.store = 'gone again';
    assert.equal(await ready(patient), true, 'once is enough');
    assert.equal(await ready(late), false);
    now = 10_000;
    assert.equal(await ready(late), true, 'it serves what it can');
    assert.equal(await ready(new Readiness({}, () => true, start)), true, 'nothing to wait for');
    patient.drain();
    assert.equal(await ready(patient), false);
  });

  it('shows metrics in Prometheus’ format', async () => {
    const response = await fetch(`${await start({})}/metrics`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(await response.text(), /^a_total 1$/m);
  });

  it('shows them in OpenMetrics where that is asked for, and in the other format as before', async () => {
    const url = `${await start({})}/metrics`;
    const Accept = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3';
    for (const round of [1, 2]) {
      const open = await fetch(url, { headers: { Accept } });
      assert.match(open.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1.0.0/);
      const text = await open.text();
      assert.match(text, /^# TYPE a counter$\n^a_total 1$/m, `round ${round}`);
      assert.match(text, /# EOF\n$/);
      assert.match(await (await fetch(url)).text(), /^# TYPE a_total counter$\n^a_total 1$/m);
    }
  });

  it('has nothing else and takes no other method', async () => {
    const url = await start({});
    assert.equal((await fetch(`${url}/verify/traefik`)).status, 404);
    assert.equal((await fetch(`${url}/healthz`, { method: 'POST' })).status, 405);
  });

  it('logs why it is not ready once for each reason, and that it is ready again', async () => {
    const states: Record<string, string | undefined> = { store: 'does not answer' };
    const readiness = new Readiness(
      { store: () => states.store, keys: () => states.keys },
      ({ keys }) => keys === undefined,
      {
        for: ['store'],
        atMost: 60_000,
      },
    );
    const lines: string[] = [];
    const log = {
      error: () => {},
      warn: ({ dependencies }: { dependencies: object }, message: string) =>
        void lines.push(`${message} ${Object.values(dependencies).join(', ')}`),
      info: (message: string) => void lines.push(message),
    } as unknown as Logger;
    server = createInternalServer(new Registry(), readiness, { log });
    const url = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}/readyz`;
    const ask = async (query = '') => void (await (await fetch(url + query)).text());
    for (const query of ['', '?strict', '']) await ask(query);
    states.keys = 'cannot be read';
    for (let i = 0; i < 3; i += 1) await ask();
    states.store = undefined;
    states.keys = undefined;
    for (let i = 0; i < 3; i += 1) await ask();
    readiness.drain();
    await ask();
    assert.deepEqual(lines, ['not ready does not answer, ok', 'not ready does not answer, cannot be read', 'ready']);
  });
});
