import assert from 'node:assert/strict';
import { SECURITY_EVENT_KINDS } from '../../src/platform/config/watch-schema.ts';
import { identity, MINUTE, person, watching } from './watching.ts';

const forgery = (address: string) => ({ kind: 'forgery', reason: 'unproven_peer', address }) as const;

describe('security events', () => {
  it('are counted from zero on, by process and kind', async () => {
    const { registry } = await watching();
    const metric = await registry.getSingleMetric('postern_security_events_total')?.get();
    const zeros = metric?.values.map(({ labels, value }) => [labels.process, labels.kind, value]);
    assert.deepEqual(
      zeros,
      SECURITY_EVENT_KINDS.map((kind) => ['forward-auth', kind, 0]),
    );
    const metrics = await registry.metrics();
    for (const outcome of ['delivered', 'failed', 'dropped'])
      assert.ok(metrics.includes(`webhook_deliveries_total{process="forward-auth",outcome="${outcome}"} 0`), outcome);
    assert.match(metrics, /postern_security_webhook_waiting\{process="forward-auth"\} 0/);
  });

  it('are one within the window, and another one after it', async () => {
    const { watch, clock, kinds, at, registry, lines } = await watching({ window: '10m' });
    const start = clock.now;
    for (let minute = 0; minute < 10; minute++) {
      watch.observe(forgery('192.0.2.1'));
      await at(start + minute * MINUTE);
    }
    assert.deepEqual(await kinds(), ['spoof_attempt']);
    const [first] = await watch.recent.list();
    assert.deepEqual([first?.count, first?.firstAt, first?.lastAt], [10, start, start + 8 * MINUTE]);
    watch.observe(forgery('192.0.2.2'));
    assert.deepEqual(await kinds(), ['spoof_attempt', 'spoof_attempt']);
    await at(start + 10 * MINUTE);
    watch.observe(forgery('192.0.2.1'));
    assert.deepEqual((await kinds()).length, 3);
    const metrics = await registry.metrics();
    assert.match(metrics, /postern_security_events_total\{process="forward-auth",kind="spoof_attempt"\} 3/);
    assert.equal(lines.length, 3);
  });

  it('are logged with what happened and to whom', async () => {
    const { watch, lines } = await watching();
    const address = '192.0.2.9';
    watch.observe({ kind: 'token_reuse', person: person('robot'), reason: 'refresh_token', address });
    await watch.look();
    const [{ eventId, time: _time, ...line } = {}] = lines;
    assert.match(String(eventId), /^[0-9a-f-]{36}$/);
    assert.deepEqual(line, {
      level: 'warn',
      process: 'test',
      event: 'security',
      kind: 'refresh_token_reuse',
      severity: 'critical',
      count: 1,
      user: 'https://idp.test#robot',
      address,
      reason: 'refresh_token',
      message: 'a code or refresh token that was already used came again; what it was good for has been taken back',
    });
  });

  it('name the network only, where that is configured', async () => {
    const { watch, lines } = await watching({ addresses: 'network' });
    watch.observe(forgery('192.0.2.9'));
    watch.observe(forgery('2001:db8:1:2::9'));
    await watch.look();
    assert.deepEqual(
      lines.map(({ address }) => address),
      ['192.0.2.0/24', '2001:db8:1::/48'],
    );
    assert.doesNotMatch(JSON.stringify([lines, await watch.recent.list()]), /192\.0\.2\.9|1:2::9/);
  });

  it('hold no more of a name than a line has room for, and no credential', async () => {
    const { watch, lines } = await watching();
    const token = `eyJ${'a'.repeat(20)}.eyJ${'b'.repeat(20)}.sig`;
    watch.observe({ kind: 'provider_removed', person: person('x'.repeat(5_000)), provider: 'old' });
    watch.observe({ kind: 'provider_removed', person: person(token), provider: 'old' });
    await watch.look();
    assert.equal(lines.length, 2);
    assert.ok(lines.every((line) => JSON.stringify(line).length < 1_000));
    assert.doesNotMatch(JSON.stringify([lines, await watch.recent.list()]), /eyJ/);
  });

  it('are kept in a bounded number, newest first', async () => {
    const { watch, clock, at } = await watching({ maxEvents: 3 });
    for (let one = 1; one <= 5; one++) {
      watch.observe(forgery(`192.0.2.${one}`));
      await at(clock.now + 1);
    }
    const addresses = (await watch.recent.list()).map(({ address }) => address);
    assert.deepEqual(addresses, ['192.0.2.5', '192.0.2.4', '192.0.2.3']);
    assert.equal((await watch.recent.list(1)).length, 1);
  });

  it('come of what was told before the end', async () => {
    const { watch, lines } = await watching();
    watch.observe(forgery('192.0.2.9'));
    await watch.close(1_000);
    assert.equal(lines.length, 1);
  });

  it('are counted as missed where more comes than can be looked at', async () => {
    const { watch, registry } = await watching();
    for (let one = 0; one < 10_500; one++) watch.observe(forgery('192.0.2.9'));
    for (let one = 0; one < 10_500; one++) watch.allowed(identity(`user ${one}`), '192.0.2.9');
    await watch.look();
    assert.match(
      await registry.metrics(),
      /postern_security_observations_dropped_total\{process="forward-auth"\} 1000/,
    );
  });

  it('never keep requests waiting, however many users there are to look at', async () => {
    const { watch } = await watching();
    for (let one = 0; one < 10_000; one++) watch.allowed(identity(`user ${one}`), '192.0.2.9');
    let looking = true;
    let turns = 0;
    const request = () => {
      turns += 1;
      if (looking) setImmediate(request);
    };
    setImmediate(request);
    await watch.look();
    looking = false;
    assert.ok(turns > 3, String(turns));
  });
});
