import assert from 'node:assert/strict';
import { CLIENT_SECRET, startUpstreamHouse, type UpstreamHouse } from '../relay/connect/support/upstream-provider.ts';
import { endAll as endUpstream } from '../relay/support/relay.ts';
import { copyDeployment, startProxy } from '../support/deployment.ts';
import { freePorts } from '../support/free-port.ts';
import { HttpPerson } from '../support/http-person.ts';
import { startPostern } from '../support/postern-process.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';
import { CLIENT, startSignInProvider } from '../support/sign-in-provider.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'who' } });
const SECRET = 'the secret that the proxy adds';

describe('accounts that people connect, through the real Traefik', () => {
  let origin: string;
  let edge: number;
  let house: UpstreamHouse;
  const ending: Array<() => Promise<unknown>> = [];

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'traefik');
    const ports = (await freePorts(5)) as [number, number, number, number, number];
    const [first, auth, authInternal, relay, relayInternal] = ports;
    edge = first;
    origin = `http://127.0.0.1:${edge}`;
    const corp = await startSignInProvider([origin], { name: 'corp' });
    ending.unshift(() => corp.stop());
    house = await startUpstreamHouse(`${origin}/connect/servers/notes/callback`);
    ending.unshift(endUpstream);
    const env = { POSTERN_RELAY_TRUST_SECRET: SECRET };
    const addresses = {
      '127.0.0.1:8080': `127.0.0.1:${edge}`,
      '127.0.0.1:4180': `127.0.0.1:${auth}`,
      '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
      '127.0.0.1:4444': `127.0.0.1:${relay}`,
      '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
    };
    const copy = await copyDeployment('traefik', addresses, env);
    ending.unshift(() => copy.remove());
    const provider = { id: 'corp', issuer: corp.issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret };
    const paths = ['/connect', '/connect/**', '/servers/notes/**'];
    const connection = {
      issuer: house.issuer,
      clientId: 'relay',
      clientSecret: { env: 'NOTES_SECRET' },
      scopes: ['openid', 'notes:read'],
    };
    const settings = {
      ...env,
      NOTES_SECRET: CLIENT_SECRET,
      POSTERN_AUTH_PROVIDERS: JSON.stringify([provider]),
      POSTERN_AUTH_RULES: JSON.stringify(paths.map((path) => ({ match: { path } }))),
      POSTERN_RELAY_SERVERS: JSON.stringify({ notes: { url: house.url, credential: { connection } } }),
    };
    const file = `${copy.folder}/postern.yaml`;
    for (const [process, internal] of [
      ['auth', authInternal],
      ['relay', relayInternal],
    ] as const) {
      const child = await startPostern(process, file, internal, settings);
      ending.unshift(() => child.stop());
    }
    const proxy = await startProxy('traefik', program, copy.folder, edge, env);
    ending.unshift(() => proxy.stop());
  });
  after(async function () {
    this.timeout(60_000);
    for (const end of ending) await end();
  });

  const who = async (person: HttpPerson, ...more: string[]) => {
    const answer = await rawRequest(edge, '/servers/notes/mcp', {
      method: 'POST',
      headers: ['Cookie', person.cookie('127.0.0.1'), 'Content-Type', 'application/json', 'Origin', origin, ...more],
      body: CALL,
    });
    assert.equal(answer.status, 200, answer.body);
    const { result, error } = JSON.parse(answer.body);
    return result?.who ?? error.message;
  };

  it('are connected by whoever is signed in, and serve nobody who only says that name', async function () {
    this.timeout(60_000);
    const alice = new HttpPerson();
    const bob = new HttpPerson();
    house.user = 'alice-at-notes';
    await alice.signIn(`${origin}/connect`, 'alice');
    assert.match(await who(alice), /not connected: open http.*\/connect\/servers\/notes/);

    const page = await alice.visit(`${origin}/connect/servers/notes`);
    const back = await alice.submit(page, { action: 'connect' });
    assert.equal(back.url.href, `${origin}/connect/servers/notes`);
    assert.match(back.text, /notes is connected/);
    assert.equal(await who(alice), 'alice-at-notes');

    await bob.signIn(`${origin}/connect`, 'bob');
    assert.match(await who(bob, 'X-Authenticated-User', 'alice'), /not connected/);
  });

  it('lead strangers to sign in first', async () => {
    const headers = ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'];
    const answer = await rawRequest(edge, '/connect/servers/notes', { headers });
    assert.equal(answer.status, 302);
    assert.match(String(answer.headers.location), /\/_postern\/sign-in\?/);
  });
});
