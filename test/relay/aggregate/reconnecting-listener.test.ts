import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { type Member, Unreached } from '../../../src/relay/aggregate/member.ts';
import { ReconnectingListener } from '../../../src/relay/aggregate/reconnecting-listener.ts';
import type { RequestOptions } from '../../../src/relay/upstreams/upstream-request.ts';

const TIMES = { first: 1, longest: 4 };

/** A server that a test lets go and come back. */
class MovableServer implements Member {
  readonly server = 'one';
  there = true;
  asked = 0;
  streams = 0;
  offersStream = true;
  #end: () => void = () => {};

  async describe() {
    return { capabilities: { tools: {}, resources: {} }, instructions: undefined };
  }
  request = async () => ({});
  notify = async () => {};
  close = async () => {};
  async ping() {
    this.asked += 1;
    if (!this.there) throw new Unreached('unreachable', 'away');
  }
  async mayHear() {
    return true;
  }

  async listen(_filter: unknown, { onMessage, signal }: RequestOptions) {
    if (!this.offersStream) return 'not_offered' as const;
    this.streams += 1;
    onMessage({ method: 'hello' });
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return 'lost' as const;
  }
  lose(): void {
    this.there = false;
    this.#end();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('listening to a server for as long as a client listens', () => {
  const ending = new AbortController();
  let stop = ending;
  const start = (server: MovableServer) => {
    stop = new AbortController();
    const heard: string[] = [];
    const events = {
      onMessage: () => heard.push('hello'),
      isBack: () => {},
      listChanged: (method: string) => heard.push(method),
    };
    const watch = new ReconnectingListener(server, events, 1000, TIMES);
    return { watch, heard, ended: watch.run(undefined, stop.signal) };
  };
  afterEach(() => stop.abort());

  it('says nothing of a server that is there', async () => {
    const server = new MovableServer();
    const { heard, ended } = start(server);
    await until(() => server.streams === 1);
    assert.deepEqual(heard, ['hello']);
    stop.abort();
    await ended;
  });

  it('announces the lists of one that comes back, once', async () => {
    const server = new MovableServer();
    const { heard } = start(server);
    await until(() => server.streams === 1);
    server.lose();
    await until(() => server.asked >= 4);
    assert.deepEqual(heard, ['hello']);
    server.there = true;
    await until(() => server.streams === 2);
    const lists = ['notifications/tools/list_changed', 'notifications/resources/list_changed'];
    assert.deepEqual(heard, ['hello', ...lists, 'hello']);
  });

  it('announces the lists of one that was away from the beginning', async () => {
    const server = new MovableServer();
    server.there = false;
    const { heard } = start(server);
    await until(() => server.asked >= 3);
    server.there = true;
    await until(() => server.streams === 1);
    assert.equal(heard.length, 3);
  });

  it('looks again for one without a stream when a list has missed it', async () => {
    const server = new MovableServer();
    server.offersStream = false;
    const { watch, heard } = start(server);
    await until(() => server.asked === 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(server.asked, 1, 'nobody asks while nothing is known to be wrong');
    watch.missed();
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ['notifications/tools/list_changed', 'notifications/resources/list_changed']);
  });
});
