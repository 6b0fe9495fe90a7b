import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { type EnvoyCheckResponse, SERVICE } from '../../../src/forward-auth/proxies/ext-authz/messages.ts';
import { importSigningKey, signAssertion } from '../../../src/identity/assertion.ts';
import { ANONYMOUS } from '../../../src/identity/identity.ts';
import { AUTHORIZATION } from '../../support/ext-authz-service.ts';
import { ECHO, type Gauntlet, SECRET, startGauntlet } from './gauntlet.ts';
import { FORGER } from './oracle.ts';
import { exchange, written } from './wire.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
const HOST = '127.0.0.1';
/** Not in any list of trusted addresses. */
const OUTSIDE = '127.0.0.2';
const USER = 'X-Authenticated-User';
const ASSERTION = 'X-Authenticated-Assertion';

describe('attacks past the proxy', () => {
  let gauntlet: Gauntlet;
  /** What the proxy would send: everything that forward-auth said for alice. */
  let allowed: string[];

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet();
    allowed = await ask('POST', ECHO, HOST);
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
  });

  /** Lines that forward-auth issued for a request of alice. */
  async function ask(method: string, uri: string, host: string, token = gauntlet.echoToken): Promise<string[]> {
    const lines = [
      ...[`X-Forwarded-Method: ${method}`, `X-Forwarded-Uri: ${uri}`, `X-Forwarded-Host: ${host}`],
      ...['X-Forwarded-Proto: http', 'X-Forwarded-For: 127.0.0.1', `Authorization: Bearer ${token}`],
    ];
    const bytes = written({ target: '/verify/traefik', lines });
    const { text, statuses } = await exchange(gauntlet.ports.auth, { bytes, patience: 10_000 });
    assert.deepEqual(statuses, [200], text);
    return text.split('\r\n').filter((line) => /^x-authenticated-/i.test(line));
  }

  const proof = `X-Postern-Proxy-Secret: ${SECRET}`;
  const without = (name: string, lines = allowed) => lines.filter((line) => !line.startsWith(`${name}:`));
  const assertionOf = (lines: readonly string[]) =>
    lines.find((line) => line.startsWith(`${ASSERTION}:`))?.slice(ASSERTION.length + 2) as string;
  const swapped = (assertion: string) => [...without(ASSERTION), proof, `${ASSERTION}: ${assertion}`];

  async function atTheRelay(lines: readonly string[], more: { from?: string; target?: string; host?: string } = {}) {
    const before = gauntlet.echo.seen.length;
    const { from, target = ECHO, host = HOST } = more;
    const mcp = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
    const bytes = written({ method: 'POST', target, host, lines: [...mcp, ...lines], body: CALL });
    const answered = await exchange(gauntlet.ports.relay, {
      bytes,
      patience: 10_000,
      ...(from === undefined ? {} : { from }),
    });
    return { status: answered.statuses[0], text: answered.text, served: gauntlet.echo.seen.length - before };
  }
  async function refused(lines: readonly string[], more: Parameters<typeof atTheRelay>[1] = {}): Promise<void> {
    const { status, served, text } = await atTheRelay(lines, more);
    assert.ok(status !== undefined && [400, 401, 404, 405].includes(status), `was ${status}: ${text.slice(0, 300)}`);
    assert.equal(served, 0);
  }
  async function selfMade(kid?: string): Promise<string> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const key = await importSigningKey({ ...(await exportJWK(privateKey)), ...(kid === undefined ? {} : { kid }) });
    const issuedAt = Math.floor(Date.now() / 1000);
    return signAssertion(
      key,
      { ...ANONYMOUS, subject: 'alice', groups: ['admins'], method: 'bearer' },
      { method: 'POST', host: HOST, path: ECHO },
      { issuer: gauntlet.expected.issuer, audience: 'postern-relay', issuedAt, lifetime: 60 },
    );
  }

  it('the relay serves what has every proof', async () => {
    const { status, served, text } = await atTheRelay([...allowed, proof]);
    assert.equal(status, 200, text);
    assert.equal(served, 1);
  });

  it('the relay, from another address with every other proof', async () => {
    await refused([...allowed, proof], { from: OUTSIDE });
    await refused([`${USER}: alice`, proof], { from: OUTSIDE });
  });

  it('the relay, without the secret or with another', async () => {
    for (const lines of [
      [],
      ['X-Postern-Proxy-Secret: guessed'],
      ['X-Postern-Proxy-Secret:'],
      [`X-Postern-Proxy-Secret: ${SECRET}x`],
      [`X-Postern-Proxy-Secret: ${SECRET.slice(0, -1)}`],
      [proof, 'X-Postern-Proxy-Secret: guessed'],
      ['X-Postern-Proxy-Secret: guessed', proof],
      [`X_Postern_Proxy_Secret: ${SECRET}`],
    ])
      await refused([...allowed, ...lines]);
  });

  it('the relay, with an assertion that is missing, twice, changed, or of another key', async () => {
    const good = assertionOf(allowed);
    const [head, payload, signature] = good.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: FORGER })).toString('base64url');
    const none = Buffer.from('{"alg":"none","typ":"postern-identity+jwt"}').toString('base64url');
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string };
    await refused([...without(ASSERTION), proof]);
    await refused([...allowed, proof, `${ASSERTION}: ${good}`]);
    await refused([...without(ASSERTION), proof, `X_Authenticated_Assertion: ${good}`]);
    for (const assertion of [
      ...[`${head}.${forged}.${signature}`, `${none}.${payload}.`, `${head}.${payload}.`, `${good},${good}`],
      ...[await selfMade(), await selfMade(kid), gauntlet.echoToken],
    ])
      await refused(swapped(assertion));
  });

  it('the relay, with an assertion for another path, method or host', async () => {
    for (const [method, uri, host] of [
      ['POST', `${ECHO}/`, HOST],
      ['POST', '/servers/echo/%6dcp', HOST],
      ['GET', ECHO, HOST],
    ] as const)
      await refused(swapped(assertionOf(await ask(method, uri, host))));
    const elsewhere = await gauntlet.provider.token('alice', 'http://elsewhere.example');
    await refused(swapped(assertionOf(await ask('POST', ECHO, 'elsewhere.example', elsewhere))));
    await refused([...allowed, proof], { host: 'elsewhere.example' });
    await refused([...allowed, proof, 'X-Forwarded-Host: elsewhere.example'], { host: 'another.example' });
    await refused([...allowed, proof], { target: '/servers/echo/ws' });
    await refused([...allowed, proof], { target: `${ECHO}/../mcp` });
    await refused([...allowed, proof], { target: `http://${HOST}${ECHO}` });
  });

  it('the relay, with a user beside the one of the assertion', async () => {
    for (const lines of [
      [...without(USER), `${USER}: ${FORGER}`],
      [...without(USER), `${USER}:`],
      without(USER),
      [...allowed, `${USER}: ${FORGER}`],
      [`${USER}:`, ...allowed],
      [...allowed, `X_Authenticated_User: ${FORGER}`],
      [...allowed, `X.Authenticated.User: ${FORGER}`],
      [...allowed, `X!Authenticated!Groups: ${FORGER}`],
      [...allowed, `Connection: ${USER}`],
      [...allowed, `Connection: keep-alive, ${ASSERTION}`],
      [...allowed, `Trailer: ${USER}`],
    ])
      await refused([...lines, proof]);
  });

  it('the relay hands on no group of a plain header beside the signature', async () => {
    const lines = [...without('X-Authenticated-Groups'), `X-Authenticated-Groups: ${FORGER}`, proof];
    const { served } = await atTheRelay(lines);
    assert.equal(served, 1);
    assert.doesNotMatch(JSON.stringify(gauntlet.echo.seen.at(-1)), new RegExp(FORGER));
  });

  it('forward-auth answers no question from another address', async () => {
    for (const target of ['/verify/traefik', '/verify/caddy', '/verify/nginx', '/verify/envoy/app/x']) {
      const lines = [
        ...['X-Forwarded-Method: GET', 'X-Forwarded-Uri: /app/x', `X-Forwarded-Host: ${HOST}`],
        ...['X-Original-Method: GET', 'X-Original-URI: /app/x', `X-Original-Host: ${HOST}`, 'X-Original-Proto: http'],
        ...['X-Forwarded-Proto: http', 'X-Forwarded-For: 127.0.0.1', 'X-Original-For: 127.0.0.1'],
        `Authorization: Bearer ${gauntlet.token}`,
      ];
      const bytes = written({ target, lines });
      const outside = await exchange(gauntlet.ports.auth, { bytes, from: OUTSIDE, patience: 10_000 });
      assert.deepEqual(outside.statuses, [403], outside.text);
      assert.doesNotMatch(outside.text, /x-authenticated-/i);
      const inside = await exchange(gauntlet.ports.auth, { bytes, patience: 10_000 });
      assert.deepEqual(inside.statuses, [200], inside.text);
    }
  });

  it('forward-auth answers no question over gRPC from another address', async () => {
    assert.equal((await askGrpc(OUTSIDE)).status?.message, 'untrusted_proxy');
    const inside = await askGrpc(HOST);
    assert.equal(inside.status?.code, 0);
    assert.ok(inside.ok_response !== undefined);
  });

  /** grpc-js cannot choose the address that it calls from. */
  async function askGrpc(from: string): Promise<EnvoyCheckResponse> {
    const { Check } = AUTHORIZATION;
    const headers = { authorization: `Bearer ${gauntlet.token}`, 'x-forwarded-proto': 'http' };
    const http = { method: 'GET', path: '/app/x', host: HOST, scheme: 'http', headers };
    const source = { address: { socket_address: { address: HOST } } };
    const message = Check.requestSerialize({ attributes: { source, request: { http } } });
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    message.copy(frame, 5);
    const createConnection = () => connect({ host: HOST, port: gauntlet.ports.grpc, localAddress: from });
    const session = connectHttp2(`http://${HOST}:${gauntlet.ports.grpc}`, { createConnection });
    const stream = session.request({
      ...{ ':method': 'POST', ':path': `/${SERVICE}/Check` },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    stream.end(frame);
    const answered: Buffer[] = [];
    for await (const part of stream) answered.push(part as Buffer);
    session.close();
    return Check.responseDeserialize(Buffer.concat(answered).subarray(5));
  }

  it('forward-auth never opens a tunnel, and shows nothing of its inside where proxies ask', async () => {
    const upgrade = [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    for (const target of ['/verify/caddy', '/_postern/jwks.json', '/', '/metrics', '/healthz', '/readyz']) {
      const bytes = written({ target, lines: upgrade });
      const { statuses, text } = await exchange(gauntlet.ports.auth, { bytes, patience: 10_000 });
      assert.notEqual(statuses[0], 101);
      assert.doesNotMatch(text, /^# HELP/m);
    }
    for (const target of ['/metrics', '/healthz', '/readyz'])
      for (const port of [gauntlet.ports.auth, gauntlet.ports.relay]) {
        const { statuses } = await exchange(port, { bytes: written({ target }), patience: 10_000 });
        assert.deepEqual(statuses, [404], target);
      }
  });
});
