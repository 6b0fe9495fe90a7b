import assert from 'node:assert/strict';
import { pino } from 'pino';
import type { SignedAnswers } from '../../../src/forward-auth/assertions/signed-answers.ts';
import { createCheck } from '../../../src/forward-auth/check/check.ts';
import type { DecisionMeter } from '../../../src/forward-auth/check/decision-meter.ts';
import type { Policy } from '../../../src/forward-auth/decision/decide.ts';
import type { ProxyCheck } from '../../../src/forward-auth/decision/proxy-check.ts';
import { DependencyUnavailable, Overloaded } from '../../../src/platform/errors.ts';

const POLICY = { rules: { match: () => undefined } } as unknown as Policy;
const CHECK: ProxyCheck = {
  proxy: 'traefik',
  read: () => {
    throw new Error('what nobody thought of');
  },
  asker: () => ({ method: 'GET', headers: new Map() }),
  requestId: () => 'b35a9c61-1c16-45e4-9373-e9f6ff4b6d4e',
  peer: () => '127.0.0.1',
  start: 0,
};

function checkWith(count: () => void, level = 'error') {
  const lines: string[] = [];
  const log = pino({ level }, { write: (line) => void lines.push(line) });
  const meter = { count } as unknown as DecisionMeter;
  const authenticate = () => ({ kind: 'absent' }) as const;
  return { runCheck: createCheck({ policy: POLICY, authenticate, answers: {} as SignedAnswers, meter, log }), lines };
}

describe('a check that fails', () => {
  it('is a 503 and counted', async () => {
    let counted = 0;
    const { runCheck, lines } = checkWith(() => {
      counted += 1;
    });
    const { answer } = await runCheck(CHECK);
    assert.deepEqual([answer.status, counted, lines.length], [503, 1, 1]);
  });

  it('is a 503 too where it cannot be counted, and never ends the process', async () => {
    const { runCheck, lines } = checkWith(() => {
      throw new Error('no counter');
    });
    const { decision, answer } = await runCheck(CHECK);
    assert.deepEqual([decision.kind, answer.status], ['unavailable', 503]);
    assert.match(answer.body ?? '', /"request_id":"[\da-f-]{36}"/);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      ['a check failed', 'a failed check could not be recorded'],
    );
  });

  for (const [reason, error] of [
    ['dependency', new DependencyUnavailable('the session store', new Error('not connected'))],
    ['overloaded', new Overloaded()],
  ] as const)
    it(`is one line without a stack for many that fail alike: ${reason}`, async () => {
      const { runCheck, lines } = checkWith(() => {}, 'warn');
      const read = () => {
        throw error;
      };
      for (let time = 0; time < 500; time++) {
        const { decision, answer } = await runCheck({ ...CHECK, read });
        assert.deepEqual([decision.reason, answer.status], [reason, 503]);
        assert.ok(answer.headers.includes('Retry-After'));
      }
      assert.equal(lines.length, 1);
      assert.ok(!lines[0]?.includes('stack') && JSON.parse(lines[0] as string).count === 1);
    });
});
