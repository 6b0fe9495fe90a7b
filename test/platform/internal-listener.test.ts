import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { Counter, Registry } from 'prom-client';
import { drain, listen } from '../../src/platform/http.ts';
import { createInternalServer, type ReadinessCheck } from '../../src/platform/internal-listener.ts';

describe('internal listener', () => {
  let server: Server;
  const start = async (checks: Record<string, ReadinessCheck>) => {
    const registry = new Registry();
    new Counter({ name: 'a_total', help: 'a', registers: [registry] }).inc();
    server = createInternalServer(registry, checks);
    return `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
  };
  afterEach(() => drain(server, 0));

  it('is alive whatever its dependencies do', async () => {
    const url = await start({ store: () => 'down' });
    assert.equal((await fetch(`${url}/healthz?a=b`)).status, 200);
  });

  it('is ready where every dependency answers, and otherwise says which does not', async () => {
    let problem: string | undefined;
    const url = await start({
      store: async () => problem,
      keys: () => {
        if (problem !== undefined) throw new Error('secret detail');
        return undefined;
      },
    });
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    problem = 'no connection';
    const response = await fetch(`${url}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), {
      status: 'not ready',
      failing: { store: 'no connection', keys: 'does not answer' },
    });
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
});
