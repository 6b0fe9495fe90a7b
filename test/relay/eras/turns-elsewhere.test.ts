import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type NextTurn, TurnsElsewhere } from '../../../src/relay/eras/stateless/turns-elsewhere.ts';
import type { Json } from '../../../src/relay/protocol/json-rpc.ts';

const turn = (owner: string): NextTurn => ({
  state: 'postern.invented',
  owner,
  what: '',
  method: 'tools/call',
  inputResponses: {},
  meta: {},
});

describe('calls that wait in another replica', () => {
  it('who asks for many that are nowhere keeps nobody else from theirs', async () => {
    const said: Json[] = [];
    const talk = { heard: true, say: (message: Json) => void said.push(message), hear: () => () => {} };
    const elsewhere = new TurnsElsewhere(talk, () => undefined);
    const gone = new AbortController();
    const goOn = (owner: string) =>
      elsewhere.goOn(turn(owner), () => {}, AbortSignal.any([gone.signal])).catch(() => undefined);
    const mallory = Array.from({ length: 1_000 }, () => goOn('mallory'));
    const alice = goOn('alice');
    const asked = said.filter(({ kind }) => kind === 'turn').map(({ turn }) => (turn as NextTurn).owner);
    gone.abort();
    await Promise.all([...mallory, alice]);
    assert.ok(asked.includes('alice'));
    assert.ok(asked.length < 100, 'one identity costs the replicas few looks');
  });
});
