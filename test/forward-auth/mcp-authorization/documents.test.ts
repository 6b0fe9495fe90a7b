import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPerson } from '../../support/http-person.ts';
import { until } from '../../support/until.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type DocumentHost, startDocumentHost } from './support/document-host.ts';
import { type CallbackPage, openCallbackPage, SdkClient } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

describe('clients that are named by their document', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  let host: DocumentHost;
  before(async () => {
    host = await startDocumentHost();
    callback = await openCallbackPage();
    gate = await openBrokerGate({
      broker: { metadataDocuments: { privateHosts: [host.host], caPath: host.caPath, maxPerAddress: 500 } },
    });
  });
  after(async () => {
    await gate?.stop();
    await callback?.stop();
    await host?.stop();
  });

  const good = () => ({
    client_name: 'Documented client',
    redirect_uris: [callback.url],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  });
  const opens = (id: string, over: Parameters<RawClient['authorizationUrl']>[0] = {}) =>
    new HttpPerson().visit(new RawClient(gate, id, callback.url).authorizationUrl(over));
  const refused = async (id: string) => {
    const before = gate.audit().length;
    const end = await opens(id);
    assert.equal(end.url.origin, gate.issuer, 'nobody is sent anywhere');
    assert.equal(end.status, 400, end.text);
    assert.ok(
      gate
        .audit()
        .slice(before)
        .some(({ audit }) => audit === 'authorization_refused'),
    );
  };

  it('the SDK’s client uses its document in the place of a registration, and refreshes', async () => {
    const metadataUrl = host.serve('/sdk.json', good());
    const client = new SdkClient(callback.url, { metadataUrl });
    const tokens = await client.connect(gate.resource('github'));
    assert.equal(client.information?.client_id, metadataUrl);
    assert.equal((await gate.check('github', tokens.access_token)).status, 200);
    const refreshed = await client.connect(gate.resource('github'));
    assert.notEqual(refreshed.access_token, tokens.access_token);
    assert.ok(!gate.audit().some(({ audit }) => audit === 'client_registered'));
  });

  it('may have been forgotten while the person signs in', async () => {
    const own = await openBrokerGate({
      broker: {
        metadataDocuments: {
          privateHosts: [host.host],
          caPath: host.caPath,
          minCacheLifetime: '1s',
          maxCacheLifetime: '1s',
        },
      },
    });
    try {
      const id = host.serve('/forgotten.json', good());
      const count = () => host.asked.filter((path) => path === '/forgotten.json').length;
      const client = new RawClient(own, id, callback.url);
      const page = await client.person.visit(client.authorizationUrl());
      await sleep(1_100);
      const consent = await client.person.submit(page, { user: 'alice', do: 'go' });
      assert.ok(count() > 1, 'it was asked for again');
      assert.match(consent.text, /Documented client/);
      assert.ok((await client.person.submit(consent, { decision: 'allow' })).url.searchParams.get('code'));
    } finally {
      await own.stop();
    }
  });

  it('needs no word about how the client proves itself', async () => {
    const { token_endpoint_auth_method: _none, grant_types: _grants, ...plain } = good();
    const client = new RawClient(gate, host.serve('/plain.json', plain), callback.url);
    const { refresh_token } = await client.tokens();
    assert.ok(refresh_token);
  });

  it('the consent page shows the address of the document', async () => {
    const client = new RawClient(gate, host.serve('/shown.json', good()), callback.url);
    const page = await client.person.submit(await client.person.visit(client.authorizationUrl()), {
      user: 'alice',
      do: 'go',
    });
    assert.match(page.text, new RegExp(`https://${host.host}/shown.json`));
    assert.match(page.text, /Documented client/);
  });

  it('redirects are exact, but for the port of a loopback address', async () => {
    const id = host.serve('/exact.json', good());
    const end = await opens(id, { redirect_uri: callback.url.replace('/callback', '/callbacks') });
    assert.equal(end.status, 400);
    const other = await opens(id, { redirect_uri: 'http://127.0.0.1:4/callback' });
    assert.notEqual(other.url.origin, gate.issuer, 'led to sign in');
  });

  it('is kept as long as it says, within bounds', async () => {
    const id = host.serve('/cached.json', good(), { 'Cache-Control': 'max-age=600' });
    const count = () => host.asked.filter((path) => path === '/cached.json').length;
    await Promise.all([opens(id), opens(id)]);
    await opens(id);
    assert.equal(count(), 1);
  });

  it('is not fetched again for a while where it is bad, and is where it did not come', async () => {
    const own = await openBrokerGate({
      broker: { metadataDocuments: { privateHosts: [host.host], caPath: host.caPath, minCacheLifetime: '2s' } },
    });
    const visit = async (id: string) =>
      (await new HttpPerson().visit(new RawClient(own, id, callback.url).authorizationUrl())).status;
    const broken = (_request: unknown, response: ServerResponse) =>
      void response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"client_id":');
    const away = (_request: unknown, response: ServerResponse) => void response.writeHead(503).end();
    try {
      for (const [path, document, times] of [
        ['/nameless.json', { ...good(), client_name: undefined }, 1],
        ['/misdirected.json', { ...good(), redirect_uris: ['javascript:alert(1)'] }, 1],
        ['/broken.json', broken, 1],
        ['/away.json', away, undefined],
      ] as const) {
        const id = host.serve(path, document);
        for (let turn = 0; turn < 3; turn++) assert.equal(await visit(id), 400, path);
        const count = host.asked.filter((asked) => asked === path).length;
        assert.ok(times === undefined ? count >= 3 : count === times, `${path}: ${count}`);
      }
      const mended = host.serve('/nameless.json', good());
      await until('it is good again', async () => (await visit(mended)) === 200);
      assert.equal(await visit(host.serve('/away.json', good())), 200);
    } finally {
      await own.stop();
    }
  });

  describe('a document that', () => {
    const bad: ReadonlyArray<readonly [string, () => Parameters<DocumentHost['serve']>[1]]> = [
      ['names another client', () => ({ ...good(), client_id: `https://${host.host}/other.json` })],
      ['names none', () => ({ ...good(), client_id: undefined })],
      ['has a secret', () => ({ ...good(), client_secret: 'x', token_endpoint_auth_method: 'client_secret_basic' })],
      ['has no name', () => ({ ...good(), client_name: undefined })],
      ['has an empty name', () => ({ ...good(), client_name: '' })],
      ['has no redirect', () => ({ ...good(), redirect_uris: [] })],
      [
        'leads elsewhere',
        () => (_request, response) => response.writeHead(302, { Location: `https://${host.host}/sdk.json` }).end(),
      ],
      ['is not there', () => (_request, response) => response.writeHead(404).end('{}')],
      [
        'is a page',
        () => (request, response) => {
          const client_id = `https://${host.host}${request.url}`;
          response.writeHead(200, { 'Content-Type': 'text/html' }).end(JSON.stringify({ ...good(), client_id }));
        },
      ],
      [
        'is no JSON',
        () => (_request, response) =>
          response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"client_id":'),
      ],
      [
        'is 10 MiB',
        () => (request, response) => {
          const client_id = `https://${host.host}${request.url}`;
          response.writeHead(200, { 'Content-Type': 'application/json' });
          response.end(
            JSON.stringify({ ...good(), client_id, client_uri: `https://x.example/${'x'.repeat(10 * 2 ** 20)}` }),
          );
        },
      ],
      [
        'never ends',
        () => (_request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).write('{'),
      ],
    ];
    for (const [what, document] of bad)
      it(`${what} makes no client`, async () => {
        await refused(host.serve(`/${what.replaceAll(' ', '-')}.json`, document()));
      });
  });

  describe('an address', () => {
    let inside: ReturnType<typeof createServer>;
    let reached = 0;
    let port: number;
    before((done) => {
      inside = createServer((_request, response) => response.end('{}'));
      inside.on('connection', () => {
        reached += 1;
      });
      inside.listen(0, '127.0.0.1', () => {
        port = (inside.address() as AddressInfo).port;
        done();
      });
    });
    after((done) => {
      inside.close(() => done());
      inside.closeAllConnections();
    });

    for (const where of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '0.0.0.0',
      '2130706433',
      '0x7f.1',
    ])
      it(`inside the network is not asked: ${where}`, async () => {
        await refused(`https://${where}:${port}/client.json`);
        assert.equal(reached, 0);
      });

    for (const where of [
      '10.0.0.1',
      '169.254.169.254',
      '192.168.1.1',
      '100.64.0.1',
      '[fd00::1]',
      '[fe80::1]',
      '[2002:7f00:1::]',
    ])
      it(`that is not public is not asked: ${where}`, () => refused(`https://${where}/client.json`));

    for (const id of [
      'http://example.com/client.json',
      'https://example.com',
      'https://user@example.com/c',
      'https://example.com/a/../c',
      'https://example.com/c#x',
    ])
      it(`that is none of a document is no client: ${id}`, () => refused(id));
  });

  it('one address makes us fetch only so many', async () => {
    const own = await openBrokerGate({
      broker: { metadataDocuments: { privateHosts: [host.host], caPath: host.caPath, maxPerAddress: 2 } },
    });
    try {
      const before = host.asked.length;
      for (let at = 0; at < 5; at++) {
        const client = new RawClient(own, `https://${host.host}/flood-${at}.json`, callback.url);
        assert.equal((await new HttpPerson().visit(client.authorizationUrl())).status, 400);
      }
      assert.equal(host.asked.length - before, 2);
    } finally {
      await own.stop();
    }
  });
});
