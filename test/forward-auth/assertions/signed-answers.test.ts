import assert from 'node:assert/strict';
import { SignedAnswers } from '../../../src/forward-auth/assertions/signed-answers.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { openSigningKeys, type SigningKeys } from '../../../src/platform/signing-keys.ts';
import { imagineIdentity } from '../support/imagined.ts';

const ASSERTION = 'X-Authenticated-Assertion';
const SETTINGS = { issuer: 'https://mcp.example.com', audience: 'postern-relay', lifetime: 60_000 };

describe('signed answers', () => {
  let keys: SigningKeys;
  before(async () => {
    keys = await openSigningKeys(parseConfig({}).auth.assertion, {
      at: 'auth.assertion',
      log: createLogger('auth', 'silent'),
      now: Date.now,
    });
  });
  after(() => keys.close());

  const claimsOf = (headers: readonly string[]) =>
    JSON.parse(Buffer.from(headers[headers.indexOf(ASSERTION) + 1]?.split('.')[1] as string, 'base64url').toString());
  const at = (rawPath: string, method = 'GET', host = 'mcp.example.com') => ({ method, host, rawPath });

  it('are given again for the same identity and request only', () => {
    const answers = new SignedAnswers(keys, SETTINGS, Date.now);
    const [alice, bob] = [imagineIdentity(), imagineIdentity({ subject: 'bob' })];
    const first = answers.headersFor(alice, at('/a'));
    assert.equal(answers.headersFor(alice, at('/a')), first);
    for (const [identity, request] of [
      [bob, at('/a')],
      [alice, at('/b')],
      [alice, at('/a', 'POST')],
      [alice, at('/a', 'GET', 'other.example.com')],
      [imagineIdentity({ groups: ['admins'] }), at('/a')],
    ] as const) {
      const claims = claimsOf(answers.headersFor(identity, request));
      assert.deepEqual(
        [claims.sub, claims.groups, claims.htm, claims.hth, claims.htp],
        [identity.subject, identity.groups, request.method, request.host, request.rawPath],
      );
    }
    assert.equal(answers.headersFor(alice, at('/a')), first);
    const demand = { always: ['mcp:use'], entries: [], metadataUrl: undefined };
    const demanding = answers.headersFor(alice, at('/a'), { demand });
    assert.notEqual(demanding, first, 'what the relay must still ask is part of the answer');
    assert.equal(answers.headersFor(alice, at('/a'), { demand }), demanding);
    assert.notEqual(answers.headersFor(alice, at('/a')), demanding);
    for (const handle of ['a', 'b', 'a']) {
      const credential = { handle, expiresAt: 1_900_000_000_000 };
      const own = answers.headersFor(alice, at('/a'), { credential });
      assert.equal(claimsOf(own).sid, handle);
      assert.equal(answers.headersFor(alice, at('/a'), { credential: { ...credential } }), own);
    }
  });

  it('are signed anew after a third of their lifetime', () => {
    let now = Date.UTC(2026, 0, 1);
    const answers = new SignedAnswers(keys, SETTINGS, () => now);
    const alice = imagineIdentity();
    const first = answers.headersFor(alice, at('/a'));
    now += 19_999;
    assert.equal(answers.headersFor(alice, at('/a')), first);
    now += 1;
    assert.equal(claimsOf(answers.headersFor(alice, at('/a'))).iat, now / 1_000);
  });

  it('take bounded memory, however many people ask for however many long paths', () => {
    const answers = new SignedAnswers(keys, SETTINGS, Date.now);
    const people = Array.from({ length: 30 }, (_, index) => imagineIdentity({ subject: `user-${index}` }));
    for (const person of people)
      for (let page = 0; page < 30; page++) answers.headersFor(person, at(`/${'x'.repeat(30_000)}${page}`));
    assert.equal(claimsOf(answers.headersFor(people[0] as (typeof people)[0], at('/a'))).sub, 'user-0');
    assert.ok(answers.size <= 24 * 2 ** 20, `${answers.size} characters`);
  });
});
