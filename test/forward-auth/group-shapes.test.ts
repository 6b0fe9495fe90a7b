import assert from 'node:assert/strict';
import { type Gate, openGate, RESOURCE } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const KEY = rsaKey('one');
const ZITADEL = 'urn:zitadel:iam:org:project:roles';

describe('groups of real providers', () => {
  let provider: KeyServer;
  const gates: Gate[] = [];
  before(async () => {
    provider = await startKeyServer([KEY]);
  });
  after(async () => {
    for (const gate of gates) await gate.close();
    await provider?.stop();
  });

  const start = async (claims: object) => {
    const gate = await openGate({
      providers: [{ id: 'corp', issuer: provider.issuer, claims }],
      rules: [{ match: { path: '/**' }, allow: 'anyone-signed-in' }],
    });
    gates.push(gate);
    return gate;
  };
  const token = (claims: object) => {
    const now = Math.floor(Date.now() / 1000);
    return provider.sign(KEY, {
      iss: provider.issuer,
      aud: RESOURCE,
      sub: 'alice',
      iat: now,
      exp: now + 300,
      ...claims,
    });
  };
  const groupsOf = async (gate: Gate, claims: object) => {
    const answer = await gate.ask('/servers/github/mcp', { token: await token(claims) });
    assert.equal(answer.status, 200, answer.body);
    return answer.headers['x-authenticated-groups'];
  };

  for (const [title, settings, claims, groups] of [
    [
      'Zitadel',
      { groups: ZITADEL },
      { [ZITADEL]: { engineering: { '2': 'a' }, ops: { '2': 'a' } } },
      'engineering,ops',
    ],
    ['a text with commas', { groupsDelimiter: ',' }, { groups: 'engineering, ops' }, 'engineering,ops'],
    ['objects with names', {}, { groups: [{ id: 1, name: 'engineering' }] }, 'engineering'],
    [
      'two claims',
      { groups: ['groups', 'realm_access.roles'] },
      { groups: ['a'], realm_access: { roles: ['b'] } },
      'a,b',
    ],
  ] as const)
    it(`reach the server: ${title}`, async () => {
      assert.equal(await groupsOf(await start(settings), claims), groups);
    });

  it('that cannot be read are told once, by their form and without their values', async () => {
    const gate = await start({ groups: 'realm_access' });
    for (const role of ['secret-role', 'other-role'])
      assert.equal(await groupsOf(gate, { realm_access: { roles: [role] } }), '');
    const lines = gate
      .log()
      .split('\n')
      .filter((line) => line.includes('no group can be read from it'));
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? '',
      /"provider":"corp","claim":"realm_access","seen":"an object with roles","fix":".*claims\.groups/,
    );
    assert.doesNotMatch(gate.log(), /secret-role/);
  });
});
