import assert from 'node:assert/strict';
import { decisionLine } from '../../src/quickstart/decision-line.ts';

const TIME = '2026-11-25T12:34:56.789Z';
const WHOLE = {
  time: TIME,
  event: 'decision',
  outcome: 'allow',
  username: 'alice',
  server: 'example',
  action: 'POST',
  object: 'a.example/servers/example/mcp',
  reason: 'authorized',
  rule: 'auth.rules[0]',
};

describe('line of a decision', () => {
  it('says time, verdict, who, what and why', () => {
    assert.equal(
      decisionLine(WHOLE),
      '12:34:56 allow     alice  example POST a.example/servers/example/mcp  (authorized, auth.rules[0])',
    );
  });

  for (const [lack, given, expected] of [
    ['rule', { rule: '' }, '12:34:56 allow     alice  example POST a.example/servers/example/mcp  (authorized)'],
    ['reason', { reason: '' }, '12:34:56 allow     alice  example POST a.example/servers/example/mcp  (auth.rules[0])'],
    [
      'reason and rule',
      { reason: undefined, rule: '' },
      '12:34:56 allow     alice  example POST a.example/servers/example/mcp',
    ],
    ['path', { object: '' }, '12:34:56 allow     alice  example POST  (authorized, auth.rules[0])'],
    [
      'server, method and path',
      { server: '', action: undefined, object: null },
      '12:34:56 allow     alice  (authorized, auth.rules[0])',
    ],
    [
      'user',
      { username: '' },
      '12:34:56 allow     anonymous  example POST a.example/servers/example/mcp  (authorized, auth.rules[0])',
    ],
    [
      'username, but a subject',
      { username: '', user: 'https://idp#1' },
      '12:34:56 allow     https://idp#1  example POST a.example/servers/example/mcp  (authorized, auth.rules[0])',
    ],
    [
      'everything',
      { username: ' ', server: '', action: '', object: '', reason: '', rule: '' },
      '12:34:56 allow     anonymous',
    ],
  ] as const)
    it(`has neither comma nor space for what it lacks: ${lack}`, () => {
      assert.equal(decisionLine({ ...WHOLE, ...given }), expected);
    });

  it('keeps verdicts of all lengths in one column, and leaves out what is not a decision', () => {
    const columns = ['allow', 'challenge', 'deny', 'limit'].map((outcome) =>
      decisionLine({ ...WHOLE, outcome })?.indexOf('alice'),
    );
    assert.deepEqual(new Set(columns).size, 1, String(columns));
    assert.equal(decisionLine({ ...WHOLE, event: 'sign_in' }), undefined);
    assert.equal(decisionLine({ ...WHOLE, event: 'tool_call', outcome: 'admitted' }), undefined);
  });
});
