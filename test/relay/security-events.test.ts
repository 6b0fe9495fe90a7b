import assert from 'node:assert/strict';
import { until } from '../support/until.ts';
import { ask, CALL, ECHO, endAll, relay, upstream } from './support/relay.ts';

const HOME = '192.0.2.7';
const ELSEWHERE = '203.0.113.9';

describe('what the relay reports as unusual', () => {
  afterEach(endAll);

  async function watched(trust: object, more: object = {}) {
    const running = await relay(
      { servers: { one: { url: await upstream(ECHO) } }, trust, ...more },
      { watch: { detectors: { newNetwork: { learning: '0ms' }, manyDeniedTools: { maxCount: 3 } } } },
    );
    const kinds = () =>
      running.logs
        .filter((line) => line.includes('"event":"security"'))
        .map((line) => JSON.parse(line) as { kind: string; user?: string; address?: string; server?: string });
    const send = (headers: Record<string, string>) =>
      ask(running.port, { body: CALL, headers: Object.entries(headers).flat() });
    return { ...running, kinds, send };
  }

  it('a user of oauth2-proxy in two places at once, by the address that the proxy saw', async () => {
    const { kinds, send } = await watched({ preset: 'oauth2-proxy' });
    const as = (from: string) => ({ 'X-Auth-Request-User': 'alice', 'X-Forwarded-For': from });
    assert.equal((await send(as(HOME))).status, 200);
    // What stands before the proxy's own entry, the client wrote.
    assert.equal((await send(as(`${HOME}, ${ELSEWHERE}`))).status, 200);
    await until('it is reported', () => kinds().length === 1);
    const [event] = kinds();
    assert.deepEqual([event?.kind, event?.user, event?.address], ['concurrent_networks', 'alice', ELSEWHERE]);
  });

  it('nothing about networks where forward-auth stands before it and knows better', async () => {
    const { kinds, send } = await watched({});
    const as = (from: string) => ({ 'X-Authenticated-User': 'alice', 'X-Forwarded-For': from });
    for (const from of [HOME, ELSEWHERE]) assert.equal((await send(as(from))).status, 200);
    await send({ ...as(HOME), X_Authenticated_User: 'root' });
    await until('the forgery is reported', () => kinds().length > 0);
    assert.deepEqual(
      kinds().map(({ kind, address }) => [kind, address]),
      [['spoof_attempt', '127.0.0.1']],
    );
  });

  it('a user who tries tools that are not theirs, at the threshold', async () => {
    const { kinds, send } = await watched(
      {},
      { policy: { rules: [{ effect: 'deny', tools: ['add'] }, { servers: ['one'] }] } },
    );
    for (let one = 0; one < 3; one++) await send({ 'X-Authenticated-User': 'mallory' });
    await until('it is reported', () => kinds().length > 0);
    const [event] = kinds();
    assert.deepEqual([event?.kind, event?.user, event?.server], ['many_denied_tools', 'mallory', 'one']);
  });
});
