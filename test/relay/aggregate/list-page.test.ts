import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'mocha';
import { Cursors, MAX_SERVER_CURSOR } from '../../../src/relay/aggregate/cursors.ts';
import { HungServers } from '../../../src/relay/aggregate/hung-servers.ts';
import { listPage } from '../../../src/relay/aggregate/list-page.ts';
import { type Member, Unreached } from '../../../src/relay/aggregate/member.ts';
import { Names } from '../../../src/relay/aggregate/names.ts';
import { ServerError } from '../../../src/relay/protocol/failures.ts';
import type { Json } from '../../../src/relay/protocol/json-rpc.ts';
import { sealingOf } from './support.ts';

const KEY = randomBytes(32);
const SIGNAL = new AbortController().signal;
const DEPS = {
  names: new Names(['a', 'b', 'c'], '__', 64),
  cursors: new Cursors(sealingOf(KEY)),
};
const deps = () => ({ ...DEPS, hung: new HungServers(50) });

const QUIET = {
  notify: async () => {},
  mayHear: async () => true,
  listen: async () => 'not_offered' as const,
  ping: async () => {},
  close: async () => {},
};

/** A server with pages of tools; the cursor is the number of the page. */
function paged(
  server: string,
  pages: readonly string[][],
  extra: Json = {},
  capabilities: Json = { tools: {} },
): Member {
  return {
    server,
    ...QUIET,
    describe: async () => ({ capabilities, instructions: undefined }),
    request: async ({ params }) => {
      const page = Number(params.cursor ?? 0);
      const tools = (pages[page] ?? []).map((name) => ({ name }));
      return { tools, ...(page + 1 < pages.length ? { nextCursor: String(page + 1) } : {}), ...extra };
    },
  };
}

function failing(server: string, error: Error): Member {
  return {
    server,
    ...QUIET,
    describe: async () => ({ capabilities: { tools: {} }, instructions: undefined }),
    request: () => Promise.reject(error),
  };
}

function hanging(server: string): Member {
  return { ...failing(server, new Error('not reached')), describe: () => new Promise(() => {}) };
}

async function list(members: readonly Member[], cursor?: unknown, owner = 'alice') {
  const page = await listPage('tools/list', { owner, cursor, meta: undefined, id: 1, signal: SIGNAL }, members, deps());
  return page && { ...page, names: page.entries.map(({ name }) => name) };
}

describe('one list of several servers', () => {
  it('is in the order of the servers, and pages over all of them at once', async () => {
    const members = [paged('a', [['1', '2'], ['3']]), paged('b', [['1']]), paged('c', [['1'], ['2'], ['3']])];
    const first = await list(members);
    assert.deepEqual(first?.names, ['a__1', 'a__2', 'b__1', 'c__1']);
    const second = await list(members, first?.nextCursor);
    assert.deepEqual(second?.names, ['a__3', 'c__2']);
    const third = await list(members, second?.nextCursor);
    assert.deepEqual(third?.names, ['c__3']);
    assert.equal(third?.nextCursor, undefined);
  });

  it('is whole without a server that hangs, is dead or fails, and says so', async () => {
    const members = [
      hanging('a'),
      paged('b', [['1']], { ttlMs: 5000 }),
      failing('c', new Unreached('unreachable', 'the MCP server cannot be reached')),
    ];
    const page = await list(members);
    assert.deepEqual(page?.names, ['b__1']);
    assert.deepEqual(page?.unavailable, [
      { server: 'a', reason: 'timeout' },
      { server: 'c', reason: 'unreachable' },
    ]);
    assert.equal(page?.ttlMs, 0);
    const failed = await list([failing('a', new ServerError(-32603, 'its own secret trouble'))]);
    assert.deepEqual(failed?.unavailable, [{ server: 'a', reason: 'error' }]);
  });

  it('holds as long as the shortest of its parts', async () => {
    const both = await list([paged('a', [['1']], { ttlMs: 5000 }), paged('b', [['1']], { ttlMs: 300 })]);
    assert.equal(both?.ttlMs, 300);
    const one = await list([paged('a', [['1']], { ttlMs: 5000 }), paged('b', [['1']])]);
    assert.equal(one?.ttlMs, 0, 'a server that does not say promises nothing');
    const wrong = await list([paged('a', [['1']], { ttlMs: -1 })]);
    assert.equal(wrong?.ttlMs, 0);
  });

  it('does not ask a server for what it does not offer', async () => {
    const page = await list([paged('a', [['1']], {}, { prompts: {} }), paged('b', [['1']])]);
    assert.deepEqual(page?.names, ['b__1']);
    assert.deepEqual(page?.unavailable, []);
  });

  it('stops at a server whose place in its list has no reasonable size', async () => {
    const page = await list([paged('a', [['1']], { nextCursor: 'x'.repeat(MAX_SERVER_CURSOR + 1) })]);
    assert.equal(page?.nextCursor, undefined);
    assert.deepEqual(page?.unavailable, [{ server: 'a', reason: 'answer_too_large' }]);
  });

  it('refuses a cursor that was made up, of another user, of another list, or changed', async () => {
    const members = [paged('a', [['1'], ['2']])];
    const real = (await list(members))?.nextCursor as string;
    assert.deepEqual((await list(members, real))?.names, ['a__2']);
    assert.equal(await list(members, real, 'mallory'), undefined);
    const changed = real.slice(0, 20) + (real[20] === 'A' ? 'B' : 'A') + real.slice(21);
    const foreign = new Cursors(sealingOf(randomBytes(32))).seal('tools/list', 'alice', new Map([['a', '1']]));
    const plain = Buffer.from(JSON.stringify({ method: 'tools/list', owner: 'alice', positions: [['a', '1']] }));
    const other = DEPS.cursors.seal('prompts/list', 'alice', new Map([['a', '1']]));
    for (const cursor of [changed, foreign, plain.toString('base64url'), other, '', '1', 7, null])
      assert.equal(await list(members, cursor), undefined, String(cursor));
  });

  it('goes on at no server that the user may not use any more', async () => {
    const cursor = (await list([paged('a', [['1'], ['2']]), paged('b', [['1'], ['2']])]))?.nextCursor;
    assert.deepEqual((await list([paged('b', [['1'], ['2']])], cursor))?.names, ['b__2']);
  });

  it('ends with its request', async () => {
    const controller = new AbortController();
    const page = listPage(
      'tools/list',
      { owner: 'alice', cursor: undefined, meta: undefined, id: 1, signal: controller.signal },
      [hanging('a')],
      {
        ...DEPS,
        hung: new HungServers(60_000),
      },
    );
    controller.abort(new Error('taken back'));
    await assert.rejects(page, /taken back/);
  });
});
