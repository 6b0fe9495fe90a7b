import assert from 'node:assert/strict';
import { identity, watching } from './watching.ts';
import { WorkingDays } from './working-days.ts';

describe('a quiet day of a company', function () {
  this.timeout(60_000);

  it('raises nothing with the default settings, and a stolen cookie in it is seen', async () => {
    const watched = await watching();
    const days = new WorkingDays(watched);
    await days.settleIn(8);
    assert.deepEqual(await watched.kinds(), []);
    await days.work();
    assert.deepEqual(
      (await watched.watch.recent.list()).map(({ kind, user, address, count }) => [kind, user, address, count]),
      [],
    );
    assert.deepEqual(watched.lines, []);

    await days.work();
    watched.watch.allowed(identity('person 7'), '192.88.99.1');
    assert.deepEqual(await watched.kinds(), ['new_network']);
  });
});
