import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'mocha';
import type { Json } from '../../../src/relay/protocol/json-rpc.ts';
import { RefusedError } from '../../../src/relay/refusal.ts';
import { RemoteCalls, type Serve } from '../../../src/relay/replicas/remote-call.ts';
import type { ReplicaChannel } from '../../../src/relay/replicas/replica-channel.ts';

type About = { readonly about: string };

/** Replicas that hear each other at once, and all that was published. */
function replicas() {
  const listeners = new Set<(message: Json) => void>();
  const published: Json[] = [];
  const channel = (connected = true): ReplicaChannel => {
    let own: ((message: Json) => void) | undefined;
    return {
      connected,
      publish: (message) => {
        published.push(message);
        for (const listener of [...listeners]) if (listener !== own) listener(JSON.parse(JSON.stringify(message)));
      },
      subscribe: (listener) => {
        own = listener;
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  };
  const replica = (serve: Serve<About> = () => undefined, connected = true, limits = { max: 1_000, perOwner: 16 }) =>
    new RemoteCalls<About>(channel(connected), serve, limits);
  return { replica, published };
}

describe('calls between replicas', () => {
  it('are served where the thing is, messages before the result', async () => {
    const { replica } = replicas();
    replica();
    replica(({ about }, { send }) => {
      if (about !== 'here') return undefined;
      send({ piece: 1 });
      return turn().then(() => {
        send({ piece: 2 });
        return { done: true };
      });
    });
    const heard: Json[] = [];
    const called = await replica().call(
      { about: 'here' },
      { owner: 'alice', onMessage: (message) => heard.push(message) },
    );
    assert.deepEqual(called, { kind: 'result', result: { done: true } });
    assert.deepEqual(heard, [{ piece: 1 }, { piece: 2 }]);
  });

  it('whoever makes many that nobody serves keeps nobody else from theirs', async () => {
    const { replica, published } = replicas();
    const caller = replica();
    const gone = new AbortController();
    const call = (owner: string) =>
      caller.call({ about: owner }, { owner, signal: AbortSignal.any([gone.signal]) }).catch(() => undefined);
    const mallory = Array.from({ length: 1_000 }, () => call('mallory'));
    const alice = call('alice');
    await turn();
    const asked = published.filter(({ call }) => call === 'request').map(({ request }) => (request as About).about);
    gone.abort();
    const settled = await Promise.all([...mallory, alice]);
    assert.ok(asked.includes('alice'));
    assert.ok(asked.length < 100, 'one identity costs the replicas few looks');
    assert.equal(settled.filter((result) => result?.kind === 'busy').length, 1_000 - 16);
  });

  it('end at the other replica when the caller no longer waits', async () => {
    const { replica } = replicas();
    let seen: AbortSignal | undefined;
    replica((_request, { signal }) => {
      seen = signal;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve({})));
    });
    const gone = new AbortController();
    const calling = replica().call({ about: 'x' }, { owner: 'alice', signal: gone.signal });
    await turn();
    assert.equal(seen?.aborted, false);
    gone.abort(new Error('no longer'));
    await assert.rejects(calling, /no longer/);
    assert.equal(seen?.aborted, true);
  });

  it('are lost when the replica that makes them is shut down, and ended when the one that serves them is', async () => {
    const { replica } = replicas();
    const server = replica((_request, { signal }) => {
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ failed: 'over' })));
    });
    const [one, two] = [replica(), replica()];
    const lost = one.call({ about: 'x' }, { owner: 'alice' });
    const ended = two.call({ about: 'x' }, { owner: 'alice' });
    await turn();
    one.close();
    assert.deepEqual(await lost, { kind: 'lost' });
    server.close();
    assert.deepEqual(await ended, { kind: 'result', result: { failed: 'over' } });
  });

  it('fail as an outage while the others receive nothing', async () => {
    const { replica, published } = replicas();
    const calling = replica(undefined, false).call({ about: 'x' }, { owner: 'alice' });
    await assert.rejects(calling, (error) => error instanceof RefusedError && error.refusal.status === 503);
    assert.deepEqual(published, []);
  });
});
