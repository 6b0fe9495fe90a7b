import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Gate, type Replica, startGate } from '../../support/gate-replicas.ts';
import { until } from '../../support/until.ts';

/** Seconds. */
const LIFETIME = 16;
/** Milliseconds. */
const HANGS = 3_000;

describe('a provider that hangs for three seconds while tokens are renewed', () => {
  let gate: Gate;

  before(async function () {
    this.timeout(60_000);
    gate = await startGate(1, { provider: { accessTokenLifetime: LIFETIME } });
  });
  after(() => gate?.stop());

  it('is not waited for by the requests of a session whose token is good', async function () {
    this.timeout(60_000);
    const { provider } = gate;
    const [replica] = gate.replicas as [Replica];
    const { cookie } = await gate.signIn('alice');
    const begun = provider.tokenRequestsBegun;
    provider.slowness = HANGS;
    const answered = { meanwhile: 0, other: 0 };
    await until('the refresh is over', async () => {
      const asked = provider.tokenRequestsBegun > begun;
      const answer = await replica.check({ Cookie: cookie });
      await answer.body?.cancel();
      if (answer.status !== 200) answered.other += 1;
      const done = provider.tokenRequests.some(({ grant }) => grant === 'refresh_token');
      if (asked && !done) answered.meanwhile += 1;
      return done;
    });
    assert.equal(answered.other, 0);
    // One after another: had the first waited for the provider, none would have been answered meanwhile.
    assert.ok(answered.meanwhile >= 10, JSON.stringify(answered));
    await sleep(100);
    assert.equal((await replica.check({ Cookie: cookie })).status, 200);
    assert.deepEqual(
      provider.tokenRequests.map(({ grant }) => grant),
      ['authorization_code', 'refresh_token'],
    );
  });
});
