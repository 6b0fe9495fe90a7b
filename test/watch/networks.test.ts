import assert from 'node:assert/strict';
import { Networks, ONE_CLIENT } from '../../src/platform/networks.ts';
import { DAY, HOUR, identity, MINUTE, watching } from './watching.ts';

const OFFICE = '192.0.2.7';
const HOME = '2001:db8:1:2::7';
const ELSEWHERE = '203.0.113.9';

describe('the networks of users', () => {
  const alice = identity('alice');

  it('are named by as many bits as configured, however an address is written', () => {
    const networks = new Networks({ ipv4: 24, ipv6: 48 });
    assert.equal(networks.of('192.0.2.7'), '192.0.2.0/24');
    assert.equal(networks.of('::ffff:192.0.2.200'), '192.0.2.0/24');
    assert.equal(networks.of('2001:db8:1:2::7'), '2001:db8:1::/48');
    assert.equal(networks.of('2001:0DB8:0001:ffff::7'), '2001:db8:1::/48');
    assert.equal(networks.of('fe80::1%eth0'), 'fe80::/48');
    assert.equal(new Networks(ONE_CLIENT).of('192.0.2.7'), '192.0.2.7/32');
    for (const none of ['', 'unknown', '010.0.0.1', '1.2.3', 'x'.repeat(1_000), '1'.repeat(65)])
      assert.equal(networks.of(none), '', none);
  });

  it('are learnt for some days, and then a new one is an event, once', async () => {
    const { watch, clock, kinds, at } = await watching();
    const start = clock.now;
    watch.allowed(alice, OFFICE);
    await at(start + DAY);
    watch.allowed(alice, HOME);
    await at(start + 8 * DAY);
    watch.allowed(alice, OFFICE);
    watch.allowed(alice, HOME);
    assert.deepEqual(await kinds(), []);
    await at(start + 8 * DAY + HOUR);
    watch.allowed(alice, ELSEWHERE);
    assert.deepEqual(await kinds(), ['new_network']);
    await at(start + 9 * DAY);
    watch.allowed(alice, ELSEWHERE);
    assert.deepEqual(await kinds(), ['new_network']);
    const [event] = await watch.recent.list();
    assert.deepEqual([event?.user, event?.address], ['https://idp.test#alice', ELSEWHERE]);
  });

  it('are an event of another kind where the user is in a known one at the same time: a stolen cookie', async () => {
    const { watch, clock, kinds, at } = await watching();
    const start = clock.now;
    watch.allowed(alice, OFFICE);
    await at(start + 8 * DAY);
    watch.allowed(alice, OFFICE);
    await at(start + 8 * DAY + 2 * MINUTE);
    watch.allowed(alice, ELSEWHERE);
    watch.allowed(alice, OFFICE);
    assert.deepEqual(await kinds(), ['concurrent_networks']);
  });

  it('may be several at once of somebody who is being learnt, not many', async () => {
    const { watch, kinds } = await watching();
    for (let network = 1; network <= 5; network++) watch.allowed(alice, `198.51.${network}.1`);
    assert.deepEqual(await kinds(), []);
    watch.allowed(alice, '198.51.6.1');
    assert.deepEqual(await kinds(), ['concurrent_networks']);
  });

  it('count for each user and issuer alone, and a program of many networks raises nothing once it is known', async () => {
    const { watch, clock, kinds, at } = await watching();
    const start = clock.now;
    const runner = identity('ci');
    for (let day = 0; day < 6; day++) {
      await at(start + day * DAY);
      for (let network = 0; network < 3; network++) watch.allowed(runner, `198.51.${day * 3 + network}.1`);
    }
    await at(start + 10 * DAY);
    for (let network = 0; network < 18; network++) watch.allowed(runner, `198.51.${network}.1`);
    watch.allowed({ ...runner, issuer: 'https://other.test' }, '203.0.113.1');
    assert.deepEqual(await kinds(), []);
  });

  it('are new again after a long time, and somebody who was away for as long is learnt again', async () => {
    const { watch, clock, kinds, at } = await watching();
    const start = clock.now;
    const bob = identity('bob');
    watch.allowed(alice, HOME);
    for (let day = 0; day <= 100; day += 10) {
      watch.allowed(alice, OFFICE);
      if (day === 0) watch.allowed(bob, OFFICE);
      await at(start + day * DAY);
    }
    watch.allowed(bob, ELSEWHERE);
    assert.deepEqual(await kinds(), []);
    watch.allowed(alice, HOME);
    assert.deepEqual(await kinds(), ['new_network']);
  });

  it('are remembered in a bounded number', async () => {
    const { watch, clock, kinds, at } = await watching({
      detectors: { newNetwork: { maxNetworks: 2, learning: '1d' } },
    });
    for (let network = 0; network < 3; network++) {
      watch.allowed(alice, `198.51.${network}.1`);
      await at(clock.now + HOUR);
    }
    await at(clock.now + 2 * DAY);
    watch.allowed(alice, '198.51.2.1');
    await at(clock.now + HOUR);
    watch.allowed(alice, '198.51.1.1');
    assert.deepEqual(await kinds(), []);
    await at(clock.now + HOUR);
    watch.allowed(alice, '198.51.0.1');
    assert.deepEqual(await kinds(), ['new_network']);
  });

  it('are not looked at of anonymous requests and of addresses that nobody knows', async () => {
    const { watch, kinds } = await watching({ detectors: { newNetwork: { learning: '0ms' } } });
    for (const address of ['', 'unknown', OFFICE]) watch.allowed({ ...alice, method: 'anonymous' }, address);
    watch.allowed(alice, OFFICE);
    for (const address of ['', 'unknown', '_hidden']) watch.allowed(alice, address);
    assert.deepEqual(await kinds(), []);
  });
});
