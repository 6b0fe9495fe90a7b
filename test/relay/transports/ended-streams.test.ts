import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestListener, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JWK } from 'jose';
import { afterEach, describe, it } from 'mocha';
import { Registry } from 'prom-client';
import { importSigningKey, signAssertion } from '../../../src/identity/assertion.ts';
import type { Credential } from '../../../src/identity/credential.ts';
import { ANONYMOUS, type Identity } from '../../../src/identity/identity.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createRelayMetrics } from '../../../src/platform/metrics.ts';
import { OpenStreams } from '../../../src/relay/transports/open-streams.ts';
import type { Caller } from '../../../src/relay/trust/caller.ts';
import { ask, ECHO, endAll, onEnd, relay, upstream } from '../support/relay.ts';

const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', method: 'bearer', issuer: 'https://idp.example' };
const PATH = '/servers/one/mcp';

async function trusting(listener: RequestListener) {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = await importSigningKey(privateKey.export({ format: 'jwk' }) as JWK);
  const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  const jwksPath = join(folder, 'jwks.json');
  writeFileSync(jwksPath, JSON.stringify({ keys: [key.publicJwk] }));
  const running = await relay({
    servers: { one: { url: await upstream(listener), era: 'both' } },
    trust: { assertion: { jwksPath } },
  });
  const headers = (method: string, credential: Credential): string[] => {
    const claims = {
      ...{ issuer: 'https://mcp.example.com', audience: 'postern-relay' },
      ...{ issuedAt: Math.floor(Date.now() / 1000), lifetime: 60 },
    };
    const binding = { method, host: 'mcp.example.com', path: PATH };
    const assertion = signAssertion(key, ALICE, binding, claims, undefined, credential);
    return ['X-Authenticated-User', 'alice', 'X-Authenticated-Assertion', assertion, 'Host', 'mcp.example.com'];
  };
  return { running, headers };
}

const STREAM_TYPES = [
  'text/event-stream',
  'Text/Event-Stream',
  'TEXT/EVENT-STREAM; Charset=UTF-8',
  'text/event-stream ;charset="utf-8"',
  'text/event-stream;',
  '\t Text/event-Stream\t;  x=y ',
];

const NOBODY = { find: () => undefined, onSuspend: () => () => {} };

describe('a stream', () => {
  afterEach(endAll);

  for (const type of STREAM_TYPES)
    it(`ends when the credential expires that the assertion names, and the server hears of it (${type})`, async () => {
      let left: () => void = () => {};
      const gone = new Promise<void>((resolve) => {
        left = resolve;
      });
      const { running, headers } = await trusting((request, response) => {
        request.resume();
        response.on('close', left);
        response.writeHead(200, { 'Content-Type': type }).write(': open\n\n');
      });
      const until = Date.now() + 1_500;
      let whileOpen = '';
      const text = await new Promise<string>((resolve, reject) => {
        const sent = [...headers('GET', { expiresAt: until }), 'Accept', 'text/event-stream'];
        const options = { host: '127.0.0.1', port: running.port, path: PATH, headers: sent, agent: false };
        const request = send(options, (response) => {
          let received = '';
          response.on('data', (chunk) => {
            received += chunk;
            running.metrics().then((metrics) => {
              whileOpen = metrics;
            }, reject);
          });
          response.on('end', () => resolve(received));
          response.on('error', reject);
        });
        request.on('error', reject).end();
      });
      assert.match(whileOpen, /open_streams\{transport="streamable-http"\} 1/);
      assert.match(await running.metrics(), /open_streams\{transport="streamable-http"\} 0/);
      assert.equal(text, ': open\n\n');
      await gone;
      assert.match(await running.metrics(), /streams_ended_total\{reason="identity_expired"\} 1/);
      assert.match(await running.metrics(), /requests_total\{server="one",method="proxy",outcome="stream_ended"\} 1/);
    });

  it('is not opened by an assertion whose credential cannot be read', async () => {
    const { running, headers } = await trusting(ECHO);
    assert.equal((await ask(running.port, { headers: headers('POST', { handle: 'x'.repeat(22) }) })).status, 200);
    const odd = [{ handle: 'short' }, { handle: { a: 1 } }, { expiresAt: 'soon' }] as unknown as Credential[];
    for (const credential of odd) {
      const answer = await ask(running.port, { headers: headers('POST', credential) });
      assert.equal(answer.status, 401, JSON.stringify(credential));
    }
  });

  it('ends also where its credential ended between the check and its opening', async () => {
    const metrics = createRelayMetrics(new Registry());
    const ended = { has: (handle: string) => handle === 'gone', onEnd: () => () => {} };
    const streams = new OpenStreams({
      ended,
      suspensions: NOBODY,
      metrics,
      log: createLogger('relay', 'silent'),
      now: Date.now,
    });
    const about = (credential: string) => ({
      ...{ transport: 'websocket', server: 'one' },
      caller: { identity: ALICE, credential } as unknown as Caller,
    });
    const why = await new Promise((resolve) => streams.open(about('gone') as never, resolve));
    assert.equal(why, 'identity_revoked');
    const close = streams.open(about('live') as never, () => assert.fail('nobody ended it'));
    assert.deepEqual(
      streams.list().map(({ server, identity }) => [server, identity.subject]),
      [['one', 'alice']],
    );
    close();
    assert.deepEqual(streams.list(), []);
    streams.close();
  });

  it('is ended by an operator once', () => {
    const metrics = createRelayMetrics(new Registry());
    const ended = { has: () => false, onEnd: () => () => {} };
    const streams = new OpenStreams({
      ended,
      suspensions: NOBODY,
      metrics,
      log: createLogger('relay', 'silent'),
      now: Date.now,
    });
    const reasons: string[] = [];
    const caller = { identity: ALICE, credential: undefined } as unknown as Caller;
    streams.open({ transport: 'http-sse', server: 'one', caller }, (why) => reasons.push(why));
    const [stream] = streams.list();
    assert.equal(streams.end(stream?.id ?? '', 'operator'), true);
    assert.equal(streams.end(stream?.id ?? '', 'operator'), false);
    assert.deepEqual(reasons, ['operator']);
    streams.close();
  });
});
