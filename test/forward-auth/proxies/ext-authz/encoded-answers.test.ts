import assert from 'node:assert/strict';
import { type Allow, deny } from '../../../../src/forward-auth/decision/decision.ts';
import type { CheckResult } from '../../../../src/forward-auth/decision/proxy-check.ts';
import { EncodedAnswers } from '../../../../src/forward-auth/proxies/ext-authz/encoded-answers.ts';
import { renderResult } from '../../../../src/forward-auth/proxies/ext-authz/render.ts';
import { renderRefusal } from '../../../../src/forward-auth/proxies/render.ts';
import { ANONYMOUS, type Identity } from '../../../../src/identity/identity.ts';
import { AUTHORIZATION } from '../../../support/ext-authz-service.ts';

const { Check } = AUTHORIZATION;
const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', method: 'bearer', groups: ['engineering'] };
const HEADERS = ['X-Authenticated-User', 'alice', 'X-Authenticated-Email', '', 'Content-Length', '0'];

const allow = (given: Partial<Allow> = {}): Allow => ({
  ...({ kind: 'allow', reason: 'authorized', identity: ALICE, rule: 'auth.rules[0]' } as const),
  ...given,
});
const result = (decision: Allow, headers: readonly string[] = HEADERS): CheckResult => ({
  decision,
  answer: { status: 200, headers, body: '' },
});

describe('encoded answers', () => {
  let answers: EncodedAnswers;

  beforeEach(() => {
    answers = new EncodedAnswers();
  });

  /** What is read of the bytes is what was rendered, whatever was asked before. */
  const same = (given: CheckResult, received: readonly string[], id: string) => {
    const read = Check.responseDeserialize(Buffer.concat(answers.encode(given, received, id)));
    const rendered = Check.responseDeserialize(Check.responseSerialize(renderResult(given, received, id)));
    assert.deepEqual(read, rendered);
  };

  it('have the request’s own id, where all else is remembered', () => {
    for (const id of ['one', 'two', 'x'.repeat(128), 'three']) same(result(allow()), ['accept', '*/*'], id);
  });

  it('remove what this client claims, and only from its request', () => {
    for (const received of [[], ['X_Authenticated_User', 'root'], [], ['Remote-User', 'root', 'a', 'b'], []])
      same(result(allow()), received, 'r');
  });

  it('tell one decision from another with the same headers', () => {
    for (const decision of [
      allow(),
      allow({ rule: 'auth.rules[1]' }),
      allow({ reason: 'public' }),
      allow({ identity: { ...ALICE, subject: 'bob' } }),
      allow(),
    ])
      same(result(decision), [], 'r');
  });

  it('tell one list of headers from another', () => {
    for (const headers of [HEADERS, ['X-Authenticated-User', 'bob'], [], HEADERS])
      same(result(allow(), headers), [], 'r');
  });

  it('are of any length', () => {
    for (const count of [1, 10, 200, 2_000]) {
      const groups = Array.from({ length: count }, (_, at) => `group-${at}`);
      for (const id of ['one', 'two']) same(result(allow({ identity: { ...ALICE, groups } })), [], id);
    }
  });

  it('are made anew where they carry cookies, or refuse', () => {
    const cookies = ['Set-Cookie', 'a=1', ...HEADERS];
    same(result(allow({ cookies: ['a=1'] }), cookies), [], 'r');
    same(result(allow({ upstreamCookie: '' }), ['Cookie', '']), ['cookie', 'secret'], 'r');
    const refused = deny(403, 'no_rule', 'x');
    same({ decision: refused, answer: renderRefusal(refused, 'r') }, [], 'r');
  });

  it('of an allow that is another answer are refusals, each time', () => {
    const odd: CheckResult = { decision: allow(), answer: { status: 403, headers: HEADERS, body: 'x' } };
    for (const given of [odd, odd, result(allow()), odd]) {
      const read = Check.responseDeserialize(Buffer.concat(answers.encode(given, [], 'r')));
      assert.equal((read.status?.code ?? 0) > 0, given === odd);
      assert.equal(read.ok_response === undefined, given === odd);
    }
  });
});
