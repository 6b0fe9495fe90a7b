import assert from 'node:assert/strict';
import type { Observation } from '../../src/watch/observation.ts';
import { identity, MINUTE, person, watching } from './watching.ts';

const ADDRESS = '192.0.2.7';

/** Each with what is usual so often and unusual once more. */
const THRESHOLDS: ReadonlyArray<readonly [string, string, (address: string) => Observation]> = [
  [
    'many_sign_ins',
    'manySignIns',
    (address) => ({ kind: 'sign_in', outcome: 'signed_in', person: person('eve'), address }),
  ],
  [
    'many_denials',
    'manyDenials',
    (address) => ({ kind: 'denial', person: person('eve'), address, reason: 'not_allowed' }),
  ],
  [
    'many_denied_tools',
    'manyDeniedTools',
    () => ({ kind: 'tool_denial', person: person('eve'), server: 'github', reason: 'policy' }),
  ],
  ['failed_sign_ins', 'failedSignIns', (address) => ({ kind: 'sign_in', outcome: 'denied', address })],
  [
    'refused_credentials',
    'refusedCredentials',
    (address) => ({ kind: 'credential_refused', reason: 'api_key', address }),
  ],
];

const SINGLE: ReadonlyArray<readonly [string, string, Observation]> = [
  ['spoof_attempt', 'spoofAttempt', { kind: 'forgery', reason: 'unproven_peer', address: ADDRESS }],
  [
    'old_api_key',
    'oldApiKey',
    { kind: 'api_key_refused', ended: async () => ({ person: person('bot'), reason: 'revoked' }), address: ADDRESS },
  ],
  [
    'refresh_token_reuse',
    'refreshTokenReuse',
    { kind: 'token_reuse', person: person('eve'), reason: 'refresh_token', address: ADDRESS },
  ],
  ['removed_provider', 'removedProvider', { kind: 'provider_removed', person: person('eve'), provider: 'old' }],
  ['operator_refused', 'operatorRefused', { kind: 'operator_refused', address: ADDRESS }],
];

describe('detectors', () => {
  for (const [kind, name, observation] of THRESHOLDS) {
    it(`report ${kind} at the threshold, not before, and count on in the same event`, async () => {
      const { watch, kinds } = await watching({ detectors: { [name]: { maxCount: 5, within: '10m' } } });
      for (let count = 1; count < 5; count++) watch.observe(observation(ADDRESS));
      assert.deepEqual(await kinds(), []);
      for (let count = 0; count < 3; count++) watch.observe(observation(ADDRESS));
      assert.deepEqual(await kinds(), [kind]);
      const [event] = await watch.recent.list();
      assert.equal(event?.count, 7);
    });

    it(`report no ${kind} of what is spread over a longer time`, async () => {
      const { watch, clock, kinds, at } = await watching({ detectors: { [name]: { maxCount: 5, within: '10m' } } });
      for (let count = 0; count < 30; count++) {
        watch.observe(observation(ADDRESS));
        await at(clock.now + 3 * MINUTE);
      }
      assert.deepEqual(await kinds(), []);
    });

    it(`look for no ${kind} where they are told not to`, async () => {
      const { watch, kinds } = await watching({ detectors: { [name]: { enabled: false, maxCount: 1 } } });
      for (let count = 0; count < 9; count++) watch.observe(observation(ADDRESS));
      assert.deepEqual(await kinds(), []);
    });
  }

  for (const [kind, name, observation] of SINGLE) {
    it(`report ${kind} the first time`, async () => {
      const { watch, kinds } = await watching();
      watch.observe(observation);
      assert.deepEqual(await kinds(), [kind]);
    });

    it(`look for no ${kind} where they are told not to`, async () => {
      const { watch, kinds } = await watching({ detectors: { [name]: { enabled: false } } });
      watch.observe(observation);
      assert.deepEqual(await kinds(), []);
    });
  }

  it('report a user who sends more requests than people and programs do', async () => {
    const { watch, kinds } = await watching({ detectors: { requestRate: { maxCount: 100, within: '1m' } } });
    const eve = identity('eve');
    for (let count = 0; count < 99; count++) watch.allowed(eve, ADDRESS);
    for (let user = 0; user < 99; user++) watch.allowed(identity(`user ${user}`), ADDRESS);
    assert.deepEqual(await kinds(), []);
    watch.allowed(eve, ADDRESS);
    assert.deepEqual(await kinds(), ['request_rate']);
    assert.equal((await watch.recent.list())[0]?.user, 'https://idp.test#eve');
  });

  it('count failures by address, of IPv6 by the network of one subscriber, and users each for themselves', async () => {
    const { watch, kinds } = await watching();
    for (let one = 0; one < 40; one++) {
      watch.observe({ kind: 'sign_in', outcome: 'denied', address: `192.0.2.${one}` });
      watch.observe({ kind: 'denial', person: person(`user ${one}`), address: ADDRESS, reason: 'not_allowed' });
    }
    assert.deepEqual(await kinds(), []);
    for (let one = 0; one < 10; one++)
      watch.observe({ kind: 'sign_in', outcome: 'not_allowed', address: `2001:db8:1:2::${one}` });
    assert.deepEqual(await kinds(), ['failed_sign_ins']);
  });

  it('take old tokens and tokens for others as the mistakes of honest clients', async () => {
    const { watch, kinds } = await watching();
    for (const reason of ['no_credential', 'token_expired', 'token_audience', 'session_ended', 'token_inactive'])
      for (let one = 0; one < 100; one++) watch.observe({ kind: 'credential_refused', reason, address: ADDRESS });
    assert.deepEqual(await kinds(), []);
  });

  it('blame nobody for a provider that is away', async () => {
    const { watch, kinds } = await watching();
    for (let one = 0; one < 100; one++) watch.observe({ kind: 'sign_in', outcome: 'unavailable', address: ADDRESS });
    assert.deepEqual(await kinds(), []);
  });

  it('ask about so many refused keys a second and no more, and say nothing of those that never were', async () => {
    const { watch, kinds, clock, at } = await watching();
    let asked = 0;
    const ended = async () => {
      asked += 1;
      return undefined;
    };
    for (let one = 0; one < 500; one++) watch.observe({ kind: 'api_key_refused', ended, address: ADDRESS });
    await at(clock.now + 1_000);
    assert.equal(asked, 100);
    watch.observe({ kind: 'api_key_refused', ended, address: ADDRESS });
    assert.deepEqual(await kinds(), []);
    assert.equal(asked, 101);
  });

  it('remember a bounded number of users', async () => {
    const { watch, kinds } = await watching({ maxRemembered: 100, detectors: { manyDenials: { maxCount: 2 } } });
    const deny = (user: string) =>
      watch.observe({ kind: 'denial', person: person(user), address: ADDRESS, reason: 'not_allowed' });
    deny('first');
    for (let user = 0; user < 100; user++) deny(`user ${user}`);
    deny('first');
    assert.deepEqual(await kinds(), []);
    deny('first');
    assert.deepEqual(await kinds(), ['many_denials']);
  });
});
