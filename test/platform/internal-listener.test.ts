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

  it('has nothing else and takes no other method', async () => {
    const url = await start({});
    assert.equal((await fetch(`${url}/verify/traefik`)).status, 404);
    assert.equal((await fetch(`${url}/healthz`, { method: 'POST' })).status, 405);
  });
});
