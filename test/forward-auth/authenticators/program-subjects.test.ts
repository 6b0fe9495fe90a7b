import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Gate, openGate } from '../support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../support/key-server.ts';

const PERSON = 'root@example.com';
const OPAQUE = 'https://opaque.example';
/** Tokens of a program that has chosen the person's name as its client id, as different providers write them. */
const PROGRAM: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
  ['client_id without a subject', { sub: undefined, client_id: PERSON }],
  ['client_id as the subject', { sub: PERSON, client_id: PERSON }],
  ['client_id as the subject, with a name', { sub: PERSON, client_id: PERSON, name: 'Root', email: PERSON }],
  ['azp', { sub: PERSON, azp: PERSON }],
  ['azp beside another client_id', { sub: PERSON, azp: PERSON, client_id: 'web' }],
  ['appid without a subject', { sub: undefined, appid: PERSON }],
  ['cid', { sub: PERSON, cid: PERSON }],
];

describe('a program whose client id is the subject of a person', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let introspector: Server;
  let gate: Gate;
  before(async () => {
    idp = await startKeyServer([key]);
    introspector = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const claims = JSON.parse(
        Buffer.from(new URLSearchParams(body).get('token') ?? '', 'base64url').toString(),
      ) as object;
      const exp = Math.floor(Date.now() / 1000) + 300;
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ active: true, aud: 'app', token_type: 'Bearer', exp, ...claims }));
    });
    introspector.listen(0, '127.0.0.1');
    await once(introspector, 'listening');
    const url = `http://127.0.0.1:${(introspector.address() as AddressInfo).port}/`;
    const credentials = { clientId: 'gate', clientSecret: 'secret of the gate in tests' };
    const introspection = { enabled: true, url };
    const people = (id: string) => [
      { match: { path: `/${id}/owner` }, allow: { providers: [id], users: [PERSON] } },
      { match: { path: `/${id}/program` }, allow: { providers: [id], users: [`client:${PERSON}`] } },
    ];
    gate = await openGate({
      providers: [
        { id: 'signed', issuer: idp.issuer, audiences: ['app'], ...credentials },
        {
          id: 'opaque',
          issuer: OPAQUE,
          jwksUri: `${idp.issuer}/jwks`,
          audiences: ['app'],
          ...credentials,
          introspection,
        },
      ],
      rules: [
        ...people('signed'),
        ...people('opaque'),
        { match: { path: '/signed/**' }, allow: { providers: ['signed'] }, emit: ['grafana'] },
        { match: { path: '/opaque/**' }, allow: { providers: ['opaque'] } },
      ],
    });
  });
  after(async () => {
    await gate?.close();
    await idp?.stop();
    introspector?.close();
    introspector?.closeAllConnections();
  });

  const forms: ReadonlyArray<readonly [string, (claims: object) => string | Promise<string>]> = [
    ['signed', (claims) => idp.sign(key, { aud: 'app', ...claims })],
    ['opaque', (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url')],
  ];
  for (const [form, tokenOf] of forms)
    describe(`by ${form} tokens`, () => {
      for (const [what, claims] of PROGRAM)
        it(`is not that person: ${what}`, async () => {
          const token = await tokenOf(claims);
          const { status, headers } = await gate.ask(`/${form}/any`, { token });
          assert.deepEqual([status, headers['x-authenticated-user']], [200, `client:${PERSON}`]);
          if (form === 'signed') assert.equal(headers['x-webauth-user'], `client:${PERSON}`);
          assert.equal((await gate.ask(`/${form}/owner`, { token })).status, 403);
          assert.equal((await gate.ask(`/${form}/program`, { token })).status, 200);
        });

      it('leaves the person who they are, at whatever client', async () => {
        for (const client of [{ client_id: 'web' }, { azp: 'web' }, {}, { client_id: 'web', name: 'Root' }]) {
          const token = await tokenOf({ sub: PERSON, ...client });
          const { status, headers } = await gate.ask(`/${form}/owner`, { token });
          assert.deepEqual([status, headers['x-authenticated-user']], [200, PERSON], JSON.stringify(client));
          assert.equal((await gate.ask(`/${form}/program`, { token })).status, 403);
        }
      });

      it('is nobody’s to be: a person with the name of a program is refused', async () => {
        for (const client of [{ client_id: 'web' }, { client_id: PERSON }, {}]) {
          const token = await tokenOf({ sub: `client:${PERSON}`, ...client });
          const { status, body } = await gate.ask(`/${form}/program`, { token });
          assert.deepEqual([status, JSON.parse(body).reason], [401, 'token_claims'], JSON.stringify(client));
        }
      });
    });
});
