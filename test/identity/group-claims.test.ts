import assert from 'node:assert/strict';
import { type GroupClaims, readGroups, unreadGroups } from '../../src/identity/group-claims.ts';

const names = (more: Partial<GroupClaims> = {}): GroupClaims => ({ groups: ['groups'], groupName: 'name', ...more });
const ZITADEL = 'urn:zitadel:iam:org:project:roles';

describe('groups in claims', () => {
  const READ: ReadonlyArray<readonly [title: string, claims: object, more: Partial<GroupClaims>, groups: string[]]> = [
    ['a text', { groups: 'domain admins' }, {}, ['domain admins']],
    ['a list', { groups: ['a', 'b', 'a', ''] }, {}, ['a', 'b']],
    ['a text with commas', { groups: 'a, b,,c' }, { groupsDelimiter: ',' }, ['a', 'b', 'c']],
    ['a text with spaces', { groups: 'a  b' }, { groupsDelimiter: ' ' }, ['a', 'b']],
    ['a text with semicolons', { groups: 'a b;c' }, { groupsDelimiter: ';' }, ['a b', 'c']],
    ['a list is not split', { groups: ['a,b'] }, { groupsDelimiter: ',' }, ['a,b']],
    [
      'members that are objects (Zitadel)',
      { [ZITADEL]: { admin: { '1': 'x.example' }, dev: {} } },
      { groups: [ZITADEL] },
      ['admin', 'dev'],
    ],
    ['members that are flags', { groups: { admin: true, dev: false, ops: true } }, {}, ['admin', 'ops']],
    ['a list of objects', { groups: [{ id: 1, name: 'a' }, { name: 'b' }] }, {}, ['a', 'b']],
    [
      'a list of objects by another member',
      { groups: [{ display: 'a' }, { display: 'b' }] },
      { groupName: 'display' },
      ['a', 'b'],
    ],
    ['a list of objects, deeper', { groups: [{ group: { path: '/a' } }] }, { groupName: 'group.path' }, ['/a']],
    ['a list of both', { groups: ['a', { name: 'b' }, 7, null] }, {}, ['a', 'b']],
    [
      'several claims',
      { groups: ['a'], roles: 'b', realm_access: { roles: ['c', 'a'] } },
      { groups: ['groups', 'roles', 'realm_access.roles'] },
      ['a', 'b', 'c'],
    ],
    ['several claims, one missing', { roles: ['b'] }, { groups: ['groups', 'roles'] }, ['b']],
    ['none', {}, {}, []],
    ['what belongs to every object', {}, { groups: ['constructor', '__proto__', 'toString'] }, []],
  ];
  for (const [title, claims, more, groups] of READ)
    it(`are read from ${title}`, () => {
      const all = claims as Record<string, unknown>;
      assert.deepEqual(readGroups(all, names(more)), groups);
      assert.equal(unreadGroups(all, names(more)), undefined);
    });

  const UNREAD: ReadonlyArray<readonly [title: string, value: unknown, seen: string]> = [
    ['an object one too far out (Keycloak)', { roles: ['a'] }, 'an object with roles'],
    ['an object with texts', { a: 'x', b: 'y' }, 'an object with a, b'],
    ['a list of objects without the member', [{ id: 'a' }, { id: 'b' }], 'a list of an object with id'],
    ['a list of numbers', [1, 2], 'a list of a number'],
    ['a number', 7, 'a number'],
    ['a flag', true, 'a boolean'],
    ['many members', { a: 'x', b: 'x', c: 'x', d: 'x', e: 'x', f: 'x' }, 'an object with a, b, c, d, e, …'],
  ];
  for (const [title, value, seen] of UNREAD)
    it(`are not in ${title}, which is told by its form`, () => {
      assert.deepEqual(readGroups({ groups: value }, names()), []);
      assert.deepEqual(unreadGroups({ groups: value }, names()), { claim: 'groups', seen });
    });

  for (const value of ['', ' ', [], {}, null, { admin: false }])
    it(`that are none are no riddle: ${JSON.stringify(value)}`, () => {
      assert.equal(unreadGroups({ groups: value }, names()), undefined);
    });
});
