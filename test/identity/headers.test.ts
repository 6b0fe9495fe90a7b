import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  classifyHeader,
  foldHeaderName,
  fromHeaders,
  IDENTITY_HEADER_NAMES,
  toHeaders,
} from '../../src/identity/headers.ts';
import { ANONYMOUS, type Identity, ownerKey } from '../../src/identity/identity.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const nasty = fc.oneof(
  text,
  fc.constantFrom(' a ', 'a,b', '100%', '%41', 'ä', '\r\nX-Evil: 1', '\u0000', '😀', 'a\tb', '\u007f'),
);
const filled = nasty.filter((value) => value !== '');
const identities: fc.Arbitrary<Identity> = fc.record({
  subject: filled,
  email: nasty,
  name: nasty,
  groups: fc.array(filled, { maxLength: 5 }),
  scopes: fc.array(filled, { maxLength: 5 }),
  method: fc.constantFrom('session', 'bearer', 'api-key'),
  issuer: nasty,
});

function lookUp(headers: ReadonlyArray<[string, string]>) {
  const map = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]));
  return (name: string) => map.get(name);
}

describe('identity headers', () => {
  it('are these, in this order', () => {
    assert.deepEqual(IDENTITY_HEADER_NAMES, [
      'X-Authenticated-User',
      'X-Authenticated-Email',
      'X-Authenticated-Name',
      'X-Authenticated-Groups',
      'X-Authenticated-Scopes',
      'X-Authenticated-Method',
      'X-Authenticated-Issuer',
      'X-Authenticated-Assertion',
    ]);
  });

  it('give back every identity that went in', () => {
    fc.assert(
      fc.property(identities, (record) => {
        const identity = { ...record };
        assert.deepEqual(fromHeaders(lookUp(toHeaders(identity, 'a.b.c'))), identity);
      }),
    );
  });

  it('hold nothing that may not stand in a field value, whatever the identity', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 20 });
    const wild = fc.record({ subject: anything, email: anything, name: anything, issuer: anything, group: anything });
    fc.assert(
      fc.property(wild, ({ group, ...rest }) => {
        const identity: Identity = { ...rest, groups: [group], scopes: [group], method: 'bearer' };
        const headers = toHeaders(identity, '');
        assert.deepEqual(
          headers.map(([name]) => name),
          IDENTITY_HEADER_NAMES,
        );
        for (const [name, value] of headers) assert.match(value, /^[\x20-\x7e]*$/, name);
      }),
    );
  });

  it('survive a proxy that trims them', () => {
    const identity: Identity = { ...ANONYMOUS, subject: ' padded ', method: 'bearer', groups: [' a '] };
    const trimmed = toHeaders(identity, '').map(([name, value]): [string, string] => [name, value.trim()]);
    assert.deepEqual(fromHeaders(lookUp(trimmed)), identity);
  });

  it('are all present and empty for nobody', () => {
    const headers = toHeaders(ANONYMOUS, '');
    assert.equal(headers.length, 8);
    assert.deepEqual(
      headers.filter(([, value]) => value !== ''),
      [['X-Authenticated-Method', 'anonymous']],
    );
    assert.equal(fromHeaders(lookUp(headers)), ANONYMOUS);
  });

  it('separate lists so that a delimiter inside a value does not split it', () => {
    const groups = ['a,b', 'c d', 'ü'];
    const headers = lookUp(toHeaders({ ...ANONYMOUS, subject: 's', method: 'bearer', groups }, ''));
    assert.equal(headers('x-authenticated-groups'), 'a%2Cb,c d,%C3%BC');
    assert.deepEqual(fromHeaders(headers).groups, groups);
  });

  it('never make somebody of headers without a user, nor an anonymous of a user', () => {
    const get = lookUp([
      ['x-authenticated-user', '  '],
      ['x-authenticated-groups', 'admins'],
      ['x-authenticated-method', 'session'],
    ]);
    assert.equal(fromHeaders(get), ANONYMOUS);
    for (const method of ['', 'anonymous', 'root'])
      assert.equal(
        fromHeaders(
          lookUp([
            ['x-authenticated-user', 'a'],
            ['x-authenticated-method', method],
          ]),
        ).method,
        'bearer',
      );
  });

  it('leave a value alone that is not percent-encoded', () => {
    assert.equal(fromHeaders(lookUp([['x-authenticated-user', '50%']])).subject, '50%');
  });
});

describe('classifyHeader', () => {
  for (const [name, kind] of [
    ['X-Authenticated-User', 'identity'],
    ['x-authenticated-user', 'identity'],
    ['X-AUTHENTICATED-ASSERTION', 'identity'],
    ['X_Authenticated_User', 'alias'],
    ['x-authenticated_user', 'alias'],
    ['X.Authenticated.User', 'alias'],
    ['x~authenticated-groups', 'alias'],
    ['Remote-User', 'foreign'],
    ['remote_user', 'foreign'],
    ['X-Forwarded-User', 'foreign'],
    ['X-Auth-Request-Email', 'foreign'],
    ['Cf-Access-Jwt-Assertion', 'foreign'],
    ['X-Authenticated-Users', 'none'],
    ['XAuthenticatedUser', 'none'],
    ['Authorization', 'none'],
    ['X-Forwarded-For', 'none'],
  ] as const)
    it(`${name} is ${kind}`, () => assert.equal(classifyHeader(name), kind));

  it('counts a configured name as identity, and its other spellings as aliases', () => {
    const extra = new Set([foldHeaderName('X-Corp-User')]);
    assert.equal(classifyHeader('x-corp-user', extra), 'identity');
    assert.equal(classifyHeader('X_Corp_User', extra), 'alias');
    assert.equal(classifyHeader('X-Corp-User'), 'none');
  });

  it('finds every spelling of every identity header that a server could fold to it', () => {
    const separators = fc.constantFrom('-', '_', '.', '~', '!', '+', '^');
    fc.assert(
      fc.property(
        fc.constantFrom(...IDENTITY_HEADER_NAMES),
        fc.array(separators, { minLength: 2, maxLength: 2 }),
        (name, chosen) => {
          const parts = name.split('-');
          const spelling = `${parts[0]}${chosen[0]}${parts[1]}${chosen[1]}${parts[2]}`;
          const expected = spelling === name ? 'identity' : 'alias';
          assert.equal(classifyHeader(spelling), expected);
          assert.equal(classifyHeader(spelling.toUpperCase()), expected);
        },
      ),
    );
  });
});

describe('ownerKey', () => {
  const alice: Identity = { ...ANONYMOUS, subject: 'alice', issuer: 'https://a', method: 'bearer' };

  it('is one for two credentials of one person', () => {
    assert.equal(ownerKey(alice), ownerKey({ ...alice, method: 'session', scopes: ['x'], groups: ['y'] }));
  });

  it('differs by issuer, subject, and between nobody and somebody', () => {
    const keys = [
      alice,
      { ...alice, issuer: 'https://b' },
      { ...alice, subject: 'bob' },
      { ...alice, subject: 'https://a', issuer: 'alice' },
      ANONYMOUS,
      { ...ANONYMOUS, method: 'bearer' as const },
    ].map(ownerKey);
    assert.equal(new Set(keys).size, keys.length);
  });
});
