import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { displayName, isCalled, readUser, USER_NAMES, userFields, userOf } from '../../src/identity/user.ts';

const ISSUER = 'https://kc.test/realms/staff';
const SUBJECT = '8c5e2f4a-0c1d-4a53-9d2f-6a0f7f0c9b11';
const ANNA = { issuer: ISSUER, subject: SUBJECT, username: 'asmith', email: 'Anna@example.com', name: 'Anna Smith' };

describe('the spelling of a user', () => {
  it('is issuer and subject, and can be read again', () => {
    assert.equal(userOf(ANNA), `${ISSUER}#${SUBJECT}`);
    for (const person of [
      ANNA,
      { issuer: '', subject: 'ci' },
      { issuer: '', subject: 'a#b' },
      { issuer: ISSUER, subject: '#' },
    ])
      assert.deepEqual(readUser(userOf(person)), { issuer: person.issuer, subject: person.subject });
  });

  it('is never that of another user', () => {
    const people = [
      { issuer: ISSUER, subject: 'a#b' },
      { issuer: `${ISSUER}#a`, subject: 'b' },
      { issuer: '', subject: `${ISSUER}#a#b` },
      { issuer: '', subject: 'a#b' },
    ];
    assert.equal(new Set(people.map(userOf)).size, people.length);
  });

  it('is empty for the anonymous', () => assert.equal(userOf({ issuer: '', subject: '' }), ''));
});

describe('the names of a user', () => {
  it('are written as far as they are configured and known', () => {
    assert.deepEqual(userFields(ANNA, []), { user: userOf(ANNA) });
    assert.deepEqual(userFields(ANNA, ['username']), { user: userOf(ANNA), username: 'asmith' });
    const { issuer: _issuer, subject: _subject, ...names } = ANNA;
    assert.deepEqual(userFields(ANNA, USER_NAMES), { user: userOf(ANNA), ...names });
    assert.deepEqual(userFields({ ...ANNA, username: undefined, email: '' }, USER_NAMES), {
      user: userOf(ANNA),
      name: 'Anna Smith',
    });
  });

  it('find them, whole and without case; the subject is exact', () => {
    for (const text of [SUBJECT, userOf(ANNA), 'asmith', 'ASmith', 'anna@EXAMPLE.com', 'anna smith'])
      assert.ok(isCalled(ANNA, text), text);
    for (const text of ['', 'smith', SUBJECT.toUpperCase(), `https://other.test#${SUBJECT}`, ISSUER])
      assert.ok(!isCalled(ANNA, text), text);
    assert.ok(!isCalled({ issuer: '', subject: '', username: '' }, ''));
  });

  it('are shown before the subject', () => {
    assert.equal(displayName(ANNA), 'Anna Smith');
    assert.equal(displayName({ issuer: '', subject: 'ci', name: '' }), 'ci');
  });
});
