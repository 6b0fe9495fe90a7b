import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { generateKeyPair, SignJWT } from 'jose';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type DocumentHost, startDocumentHost } from './support/document-host.ts';
import { postForm, RawClient, register } from './support/raw-client.ts';

const REDIRECT = 'http://127.0.0.1/callback';

describe('what strangers may make the broker keep and do', () => {
  let gate: BrokerGate;
  let documents: DocumentHost;
  before(async () => {
    documents = await startDocumentHost();
    gate = await openBrokerGate({
      broker: {
        registration: { maxPerAddress: 50 },
        metadataDocuments: {
          privateHosts: [documents.host],
          caPath: documents.caPath,
          maxPerAddress: 5,
          maxPerHost: 12,
        },
      },
    });
  });
  after(async () => {
    await gate?.stop();
    await documents?.stop();
  });

  const nested = (open: string, close: string, depth = 20_000) => open.repeat(depth) + close.repeat(depth);
  const registerText = (body: string, address = '203.0.113.1') =>
    fetch(`${gate.issuer}/_postern/oauth/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
      body,
    });
  const errors = () =>
    gate
      .log()
      .split('\n')
      .filter((line) => line.includes('"level":"error"'));

  describe('metadata that is nested deep', () => {
    for (const [what, body] of [
      ['in a key set', `{"redirect_uris":["${REDIRECT}"],"jwks":{"keys":${nested('[', ']', 7_000)}}}`],
      [
        'in a name',
        `{"redirect_uris":["${REDIRECT}"],"client_name":${`${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`}}`,
      ],
      ['in what nobody knows', `{"redirect_uris":["${REDIRECT}"],"x":${nested('[', ']', 8_000)}}`],
      ['and nothing else', nested('[', ']', 8_000)],
      ['without an end', '['.repeat(16_000)],
    ] as const)
      it(`is refused, ${what}`, async () => {
        const answer = await registerText(body);
        assert.equal(answer.status, 400);
        assert.equal(((await answer.json()) as { error: string }).error, 'invalid_client_metadata');
        assert.deepEqual(errors(), []);
      });

    it('is refused where it is long as well: 20,000 deep', async () => {
      for (const body of [nested('[', ']'), nested('{"a":', '}'), `{"redirect_uris":${nested('[', ']')}}`]) {
        const answer = await registerText(body);
        assert.ok(answer.status === 400 || answer.status === 413, String(answer.status));
        await answer.body?.cancel();
      }
      assert.deepEqual(errors(), []);
    });

    it('is told from brackets in text', async () => {
      const { status } = await register(gate, { redirect_uris: [REDIRECT], client_name: '[[[[[[[[[[{{{{{{"\\"' });
      assert.equal(status, 201);
    });
  });

  it('metadata has a length, and each redirect', async () => {
    const long = await registerText(JSON.stringify({ redirect_uris: [REDIRECT], x: 'y'.repeat(16_384) }));
    assert.equal(long.status, 413);
    assert.match(((await long.json()) as { error_description: string }).error_description, /registration\.maxSize/);
    const { status, body } = await register(gate, { redirect_uris: [`${REDIRECT}?${'x'.repeat(2_100)}`] });
    assert.deepEqual([status, body.error], [400, 'invalid_redirect_uri']);
  });

  it('`state` and all parameters together have a length, told on our own page', async () => {
    const client = await RawClient.register(gate, REDIRECT);
    for (const over of [
      { state: 's'.repeat(4_097) },
      { nonce: 'n'.repeat(4_097) },
      { state: 's'.repeat(4_000), nonce: 'n'.repeat(4_000), login_hint: 'l'.repeat(1_000) },
    ]) {
      const answer = await fetch(client.authorizationUrl(over), { redirect: 'manual' });
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /is longer than|are longer than/);
    }
    const fine = await fetch(client.authorizationUrl({ state: 's'.repeat(4_096) }), { redirect: 'manual' });
    assert.equal(fine.status, 303);
  });

  it('registrations count by network: an IPv6 client has one /64', async () => {
    const small = await openBrokerGate({ broker: { registration: { maxPerAddress: 3 } } });
    try {
      const from = async (address: string) =>
        (await register(small, { redirect_uris: [REDIRECT] }, { 'X-Forwarded-For': address })).status;
      for (const address of ['2001:db8:1:2::1', '2001:db8:1:2:ffff::2', '2001:0DB8:1:2::3'])
        assert.equal(await from(address), 201);
      for (const address of ['2001:db8:1:2::4', '2001:db8:1:2:a:b:c:d']) assert.equal(await from(address), 429);
      assert.equal(await from('2001:db8:1:3::1'), 201);
      assert.equal(await from('::ffff:203.0.113.77'), 201);
    } finally {
      await small.stop();
    }
  });

  it('key sets that strangers name are asked for no more often than a client and a host may be', async () => {
    const jwks_uri = documents.serve('/keys.json', (_request: unknown, response: ServerResponse) =>
      response.writeHead(500).end(),
    );
    const { body } = await register(gate, {
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri,
    });
    const { privateKey } = await generateKeyPair('ES256');
    const before = documents.asked.length;
    const bad = async (address: string) => {
      const assertion = await new SignJWT({ jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', kid: crypto.randomUUID() })
        .setIssuer(String(body.client_id))
        .setSubject(String(body.client_id))
        .setAudience(gate.issuer)
        .setExpirationTime('5m')
        .sign(privateKey);
      return postForm(
        `${gate.issuer}/_postern/oauth/token`,
        {
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
        },
        { 'X-Forwarded-For': address },
      );
    };
    for (let times = 0; times < 15; times++) assert.ok((await bad('2001:db8:9:9::1')).status < 500);
    // A slow machine gives a question up before it is asked.
    const byOne = documents.asked.length - before;
    assert.ok(byOne >= 1 && byOne <= 5, `${byOne} by one client`);
    for (let client = 0; client < 20; client++) assert.ok((await bad(`198.51.100.${client}`)).status < 500);
    const fromHost = documents.asked.length - before;
    assert.ok(fromHost > byOne && fromHost <= 12, `${fromHost} from one host`);
    assert.deepEqual(errors(), []);
  });
});
