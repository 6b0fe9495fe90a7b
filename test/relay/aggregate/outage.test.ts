import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { sealingKey } from '../../../src/platform/sealing/sealing.ts';
import { AggregateServer, type AggregateServerDeps } from '../../../src/relay/aggregate/aggregate-server.ts';
import { Cursors } from '../../../src/relay/aggregate/cursors.ts';
import { HungServers } from '../../../src/relay/aggregate/hung-servers.ts';
import { LegacyMember } from '../../../src/relay/aggregate/legacy-member.ts';
import { MeteredMember } from '../../../src/relay/aggregate/metered-member.ts';
import { Names } from '../../../src/relay/aggregate/names.ts';
import { ServerRequestIds } from '../../../src/relay/aggregate/server-requests.ts';
import { newSession, sessionId } from '../../../src/relay/aggregate/session-state.ts';
import { Subscribers } from '../../../src/relay/aggregate/subscribers.ts';
import { Budgets } from '../../../src/relay/gate/budgets/budgets.ts';
import type { Caller } from '../../../src/relay/trust/caller.ts';
import type { LegacySessions } from '../../../src/relay/upstreams/legacy-sessions.ts';
import { until } from '../../support/until.ts';
import { sealingOf } from './support.ts';

const KEY = Buffer.alloc(32, 7);
const CLIENT = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
const CALLER = { identity: { issuer: 'test', subject: 'alice' }, way: 'header' } as unknown as Caller;
const NOWHERE: LegacySessions = { open: () => new Promise(() => {}), find: () => undefined };

/** All servers as one, while what counts messages is away. */
function withoutStore(onFailure: (error: unknown) => void): AggregateServer {
  const unavailable = new DependencyUnavailable('redis');
  const retry = { first: 1, longest: 1, attempts: 1 };
  const deps: AggregateServerDeps = {
    servers: ['one'],
    separator: '__',
    hung: new HungServers(1_000),
    names: new Names(['one'], '__', 128),
    cursors: new Cursors(sealingOf(KEY)),
    ids: new ServerRequestIds(() => [sealingKey(KEY)]),
    subscribers: new Subscribers(),
    times: retry,
    limit: 1_000,
    budgets: new Budgets({ limits: { identity: {}, session: {} }, onSpent: () => {} }),
    mayUse: () => true,
    onGaps: () => {},
    onHidden: async () => {},
    onFailure,
    open: (server, { caller, facts }, slot) => {
      const gate = {
        authorize: () => Promise.reject(unavailable),
        recordRefusal: () => {},
        listening: () => undefined,
      };
      return new MeteredMember(server, new LegacyMember(facts, slot, NOWHERE, { caller }), gate, () => {});
    },
  };
  return new AggregateServer(deps);
}

describe('all servers as one while the store is away', () => {
  for (const method of ['notifications/roots/list_changed', 'notifications/cancelled'])
    it(`a client's ${method} ends nothing but itself`, async () => {
      const failures: unknown[] = [];
      const statuses: number[] = [];
      withoutStore((error) => failures.push(error)).dispatch(
        {
          method: 'POST',
          era: 'legacy',
          headers: ['mcp-session-id', sessionId(newSession(CLIENT, {}))],
          body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, params: { requestId: 1 } })),
          caller: CALLER,
        },
        { onResponseStart: (_controller, status) => void statuses.push(status) },
      );
      await until('the failure is told', () => failures.length > 0);
      assert.ok(failures[0] instanceof DependencyUnavailable);
      assert.deepEqual(statuses, [202]);
    });
});
