import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { linkSignals, untilAborted, withLinkedSignal } from '../../src/platform/abort.ts';
import { createSafeFetch } from '../../src/platform/safe-fetch.ts';
import { withinTime } from '../../src/relay/aggregate/time-limit.ts';
import { RunningRequests } from '../../src/relay/upstreams/running-requests.ts';

describe('signals that end with others', () => {
  let collect: () => void;
  before(() => {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  });

  const listenersOf = (source: AbortSignal) => getEventListeners(source, 'abort').length;
  const never = (signal: AbortSignal) => untilAborted<never>(signal, () => {});
  /** Collects garbage for longer than the limits of these tests, and leaves each wait time to end. */
  async function collecting(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      collect();
      await sleep(30);
    }
  }

  it('take the reason of the first, now or later', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const { signal } = linkSignals([first.signal, second.signal]);
    second.abort(new Error('second'));
    first.abort(new Error('first'));
    assert.equal((signal.reason as Error).message, 'second');
    assert.equal(linkSignals([new AbortController().signal, first.signal]).signal.reason, first.signal.reason);
  });

  it('leave nothing with a source that lives on', async () => {
    const source = new AbortController();
    for (let turn = 0; turn < 100; turn++) {
      await withLinkedSignal([source.signal], async () => {});
      await assert.rejects(withLinkedSignal([source.signal, AbortSignal.abort(new Error('gone'))], never), /gone/);
      await assert.rejects(withLinkedSignal([source.signal], never, 1), { name: 'TimeoutError' });
    }
    assert.equal(listenersOf(source.signal), 0);
  });

  it('are not aborted any more once they are released', async () => {
    const source = new AbortController();
    const { signal, release } = linkSignals([source.signal], 20);
    release();
    source.abort();
    await sleep(40);
    assert.equal(signal.aborted, false);
  });

  for (const [what, wait] of [
    ['a linked time limit', (outer: AbortSignal) => withLinkedSignal([outer], never, 100)],
    ['a server of the aggregate', (outer: AbortSignal) => withinTime(100, outer, never)],
    ['a request under a time limit', () => new RunningRequests().run(1, AbortSignal.timeout(100), never)],
  ] as const)
    it(`keep the time for ${what}, whatever the garbage collector does`, async () => {
      let failed: unknown;
      void wait(new AbortController().signal).catch((error: unknown) => {
        failed = error;
      });
      await collecting();
      assert.ok(failed instanceof Error, 'it waits still');
    });

  it('keep the time for an address that strangers name', async () => {
    const silent = createServer((request) => request.resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const fetcher = createSafeFetch({ timeout: 100, allowedOrigins: [origin] });
    let failed: unknown;
    void fetcher(origin, { signal: new AbortController().signal }).catch((error: unknown) => {
      failed = error;
    });
    await collecting();
    assert.ok(failed instanceof Error, 'it waits still');
    silent.closeAllConnections();
    silent.close();
    await fetcher.close();
  });

  it('are made in this one way', async () => {
    const files = await readdir('src', { recursive: true });
    const users: string[] = [];
    for (const file of files.filter((name) => name.endsWith('.ts')))
      if ((await readFile(`src/${file}`, 'utf8')).includes('AbortSignal.any(')) users.push(file);
    assert.deepEqual(users, []);
  });
});
