import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '../../../src/platform/log.ts';
import { createRelayMetrics } from '../../../src/platform/metrics.ts';
import { OpenStreams, type StreamTransport } from '../../../src/relay/transports/open-streams.ts';
import type { Caller } from '../../../src/relay/trust/caller.ts';

const CALLER = { identity: { subject: 'alice' } } as unknown as Caller;

describe('streams of a relay that ends', () => {
  const ended: string[] = [];
  const streams = new OpenStreams({
    ended: { has: () => false, onEnd: () => () => {} },
    suspensions: { find: () => undefined, onSuspend: () => () => {} },
    metrics: createRelayMetrics(),
    log: createLogger('test', 'silent'),
    now: Date.now,
  });
  after(() => streams.close());

  const open = (name: string, transport: StreamTransport, standing: boolean) =>
    streams.open({ transport, server: 'one', caller: CALLER, standing }, (why) => ended.push(`${name} ${why}`));

  it('end where nobody waits for their end, those too that are opened meanwhile; the others are finished', async () => {
    open('before', 'streamable-http', true);
    open('call before', 'streamable-http', false);
    await sleep(5);
    assert.deepEqual(ended, []);
    streams.endStanding();
    assert.deepEqual(ended, ['before draining']);
    const gone = open('gone by itself', 'streamable-http', true);
    gone();
    for (const transport of ['streamable-http', 'http-sse'] as const) open(`late ${transport}`, transport, true);
    open('late call', 'streamable-http', false);
    assert.deepEqual(ended, ['before draining'], 'never before it was opened');
    await sleep(20);
    assert.deepEqual(ended.slice(1), ['late streamable-http draining', 'late http-sse draining']);
    assert.equal(streams.list().length, 2);
  });
});
