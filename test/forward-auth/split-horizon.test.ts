import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type House, openHouse } from './login/support/house.ts';
import { assertAllowed, type Gate, openGate, RESOURCE } from './support/gate.ts';
import { publicJwk, rsaKey, startKeyServer } from './support/key-server.ts';

const KEY = rsaKey('one');
/** Nobody is there: `.invalid` has no address (RFC 6761 §6.4). */
const ISSUER = 'https://idp.invalid/realms/main';

type Documents = (inside: string) => Readonly<Record<string, object>>;

describe('a provider that Postern reaches at another address than its issuer', () => {
  const end: Array<() => unknown> = [];
  afterEach(async () => {
    for (const stop of end.splice(0).reverse()) await stop();
  });

  const serve = async (documents: Documents) => {
    const asked: string[] = [];
    const server: Server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const document = documents(inside)[request.url ?? ''];
      response.writeHead(document === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
      request.resume().on('end', () => response.end(JSON.stringify(document ?? {})));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const inside = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    end.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return { inside, asked };
  };
  const gateOf = async (provider: object, more: object = {}): Promise<Gate> => {
    const gate = await openGate({
      providers: [{ id: 'corp', issuer: ISSUER, ...provider }],
      rules: [{ match: { path: '/**' }, allow: 'anyone-signed-in' }],
      ...more,
    });
    end.push(() => gate.close());
    return gate;
  };
  const keys = { keys: [publicJwk(KEY)] };
  const token = async () => {
    const signer = await startKeyServer([KEY]);
    end.push(() => signer.stop());
    const now = Math.floor(Date.now() / 1000);
    return signer.sign(KEY, { iss: ISSUER, aud: RESOURCE, sub: 'alice', iat: now, exp: now + 300 });
  };
  const ask = async (gate: Gate) => gate.ask('/servers/github/mcp', { token: await token() });

  const WELL_KNOWN = '/realms/main/.well-known/openid-configuration';
  for (const [title, path, documents] of [
    [
      'whose document names outer addresses (Dex)',
      WELL_KNOWN,
      () => ({ [WELL_KNOWN]: { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` }, '/realms/main/keys': keys }),
    ],
    [
      'whose document names inner addresses (Keycloak)',
      WELL_KNOWN,
      (inside: string) => ({ [WELL_KNOWN]: { issuer: ISSUER, jwks_uri: `${inside}/certs` }, '/certs': keys }),
    ],
    [
      'whose document is at a place of its own',
      '/discovery?tenant=1',
      () => ({ '/discovery?tenant=1': { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` }, '/realms/main/keys': keys }),
    ],
  ] as ReadonlyArray<readonly [string, string, Documents]>)
    it(`has its tokens checked: ${title}`, async () => {
      const { inside } = await serve(documents);
      assertAllowed(await ask(await gateOf({ discoveryUrl: inside + path })), 'alice');
    });

  it('is still no other issuer, and no keys come without TLS from a third address', async () => {
    const other = await serve(() => ({
      [WELL_KNOWN]: { issuer: 'https://other.invalid', jwks_uri: `${ISSUER}/keys` },
      '/realms/main/keys': keys,
    }));
    const wrong = await gateOf({ discoveryUrl: other.inside + WELL_KNOWN });
    assert.equal((await ask(wrong)).status, 503);
    assert.match(wrong.log(), /is about another issuer than https:\/\/idp\.invalid/);
    const third = await serve(() => ({ '/keys': keys }));
    const plain = await serve(() => ({ [WELL_KNOWN]: { issuer: ISSUER, jwks_uri: `${third.inside}/keys` } }));
    const gate = await gateOf({ discoveryUrl: plain.inside + WELL_KNOWN });
    assert.equal((await ask(gate)).status, 503);
    assert.match(gate.log(), /without TLS/);
    assert.deepEqual(third.asked, []);
  });

  it('is asked about opaque tokens at the inner address', async () => {
    const exp = Math.floor(Date.now() / 1000) + 300;
    const answer = { active: true, sub: 'alice', aud: RESOURCE, exp, token_type: 'Bearer' };
    const { inside } = await serve(() => ({
      [WELL_KNOWN]: { issuer: ISSUER, jwks_uri: `${ISSUER}/keys`, introspection_endpoint: `${ISSUER}/introspect` },
      '/realms/main/keys': keys,
      '/realms/main/introspect': answer,
    }));
    const gate = await gateOf({
      discoveryUrl: inside + WELL_KNOWN,
      clientId: 'postern',
      introspection: { enabled: true },
    });
    assertAllowed(await gate.ask('/servers/github/mcp', { token: 'opaque-token-of-alice' }), 'alice');
  });

  it('has its metadata handed on, unchanged, from the inner address', async () => {
    const document = { issuer: ISSUER, jwks_uri: `${ISSUER}/keys`, authorization_endpoint: `${ISSUER}/authorize` };
    const { inside } = await serve(() => ({ [WELL_KNOWN]: document, '/realms/main/keys': keys }));
    const gate = await gateOf({ discoveryUrl: inside + WELL_KNOWN }, { originMetadata: 'corp' });
    const answer = await fetch(`http://127.0.0.1:${gate.port}/.well-known/oauth-authorization-server`);
    assert.deepEqual(await answer.json(), document);
  });

  it('signs people in: browsers go to the outer address, Postern to the inner one', async () => {
    let house: House | undefined;
    const reached = new Set<string>();
    house = await openHouse({
      provider: (issuer: string) => ({
        discoveryUrl: `${issuer.replace('127.0.0.1', 'localhost')}/.well-known/openid-configuration`,
        userinfo: 'always',
      }),
      fetch: (input, init) => {
        const url = new URL(input instanceof Request ? input.url : input);
        reached.add(`${url.hostname}${url.pathname}`);
        if (url.hostname === '127.0.0.1') return Promise.reject(new TypeError('the outer address is not reached here'));
        return fetch(input, init);
      },
    });
    end.push(() => house?.close());
    const jar = await house.enter();
    const me = (await (await jar.hop(house.at('/_postern/me'))).json()) as { subject: string; issuer: string };
    assert.deepEqual([me.subject, me.issuer], ['alice', house.idp.issuer]);
    assert.ok(
      [...reached].every((address) => address.startsWith('localhost/')),
      [...reached].join(' '),
    );
    assert.ok(reached.size >= 4, [...reached].join(' '));
  });
});
