import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { askModern } from '../eras/support/wire.ts';
import { endAll, relay } from '../support/relay.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
/** Stands in the arguments of the call and in its answer. */
const MARK = 'counted-by-the-test';

/** Texts with the mark that are parsed while the work is done, by what they are. */
async function parsedDuring(work: () => Promise<unknown>): Promise<Record<'requests' | 'answers', number>> {
  const counts = { requests: 0, answers: 0 };
  const { parse } = JSON;
  JSON.parse = ((text: string, reviver) => {
    if (text.includes(MARK)) counts[text.includes('"method"') ? 'requests' : 'answers'] += 1;
    return parse(text, reviver);
  }) as typeof parse;
  try {
    await work();
  } finally {
    JSON.parse = parse;
  }
  return counts;
}

describe('a call of a stateless client to all servers as one and on to a program', function () {
  this.timeout(20_000);
  afterEach(endAll);

  it('is parsed three times at most, its answer included', async () => {
    const { port } = await relay({
      servers: { one: { command: process.execPath, args: [PROGRAM] } },
      aggregate: { servers: ['one'], timeout: '10s' },
    });
    const call = () =>
      askModern(
        port,
        'alice',
        'tools/call',
        { name: 'one__slow', arguments: { milliseconds: 0, say: MARK } },
        {},
        '/mcp',
      );
    // The first call begins the session, of which no text has the mark.
    await call();
    const counts = await parsedDuring(async () =>
      assert.match(JSON.stringify((await call()).result), new RegExp(MARK)),
    );
    // The test itself reads the answer once, and the program's own reading is in another process.
    assert.ok(counts.requests + counts.answers - 1 <= 3, JSON.stringify(counts));
  });
});
