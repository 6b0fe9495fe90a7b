import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { Budgets, type Hold } from '../../../../src/relay/gate/budgets/budgets.ts';
import type { Refusal } from '../../../../src/relay/refusal.ts';

const spent: string[] = [];

function budgets() {
  const limits = { identity: { requests: 3, requestBytes: 100 }, session: { requests: 2, keptBytes: 10 } };
  return new Budgets({ limits, onSpent: (scope, measure) => spent.push(`${scope} ${measure}`) });
}

function held(taken: Hold | Refusal): Hold {
  assert.ok(!('status' in taken), JSON.stringify(taken));
  return taken;
}

function refused(taken: Hold | Refusal | undefined): Refusal {
  assert.ok(taken !== undefined && 'status' in taken);
  return taken;
}

describe('budgets', () => {
  afterEach(() => {
    spent.length = 0;
  });

  it('bound a session within its identity, and other identities not at all', () => {
    const all = budgets();
    const first = all.of('alice', 'one');
    for (let count = 0; count < 2; count += 1) held(first.take({ requests: 1 }));
    const refusal = refused(first.take({ requests: 1 }));
    assert.deepEqual([refusal.status, refusal.reason, refusal.headers], [429, 'budget_spent', { 'Retry-After': '1' }]);
    assert.match(refusal.message, /as this session may have \(2\)/);
    assert.match(refusal.fix ?? '', /relay\.budgets\.session\.maxRequests/);
    held(all.of('alice', 'two').take({ requests: 1 }));
    assert.match(refused(all.of('alice', 'three').take({ requests: 1 })).fix ?? '', /identity\.maxRequests/);
    refused(all.of('alice').take({ requests: 1 }));
    held(all.of('bob', 'one').take({ requests: 2 }));
    assert.deepEqual(spent, ['session requests', 'identity requests', 'identity requests']);
  });

  it('hold nothing of what they refuse, and are whole again after every release', () => {
    const all = budgets();
    const hold = held(all.of('alice', 'one').take({ requests: 1, requestBytes: 60 }));
    refused(hold.add({ requestBytes: 41, requests: 1 }));
    assert.equal(hold.add({ requestBytes: 40 }), undefined);
    refused(all.of('alice').take({ requestBytes: 1 }));
    hold.reduce({ requestBytes: 30 });
    const other = held(all.of('alice').take({ requestBytes: 30 }));
    assert.deepEqual({ ...all.totals, requests: 0 }, { ...budgets().totals, requestBytes: 100 });
    for (const one of [hold, hold, other, other]) one.release();
    assert.deepEqual(all.totals, budgets().totals);
    held(all.of('alice', 'one').take({ requests: 2, requestBytes: 100, keptBytes: 10 }));
  });

  it('count what is held by each, however many others have come and gone', () => {
    const all = budgets();
    const holds = ['alice', 'bob'].map((owner) => held(all.of(owner, 'one').take({ requests: 2 })));
    for (let other = 0; other < 5_000; other += 1)
      held(all.of(`other ${other}`, `session ${other}`).take({ requests: 1 })).release();
    for (const owner of ['alice', 'bob']) refused(all.of(owner, 'one').take({ requests: 1 }));
    for (const hold of holds) hold.release();
    for (const owner of ['alice', 'bob']) held(all.of(owner, 'one').take({ requests: 2 })).release();
    assert.deepEqual(all.totals, budgets().totals);
  });

  it('do not grow by a hold that was released, nor fall below nothing', () => {
    const all = budgets();
    const hold = held(all.of('alice').take({ requests: 1 }));
    hold.reduce({ requests: 5, keptBytes: 3 });
    assert.deepEqual(all.totals, budgets().totals);
    hold.release();
    hold.add({ requests: 3 });
    hold.reduce({ requests: 3 });
    assert.deepEqual(all.totals, budgets().totals);
    held(all.of('alice').take({ requests: 3 }));
  });
});
