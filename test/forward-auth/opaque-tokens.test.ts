import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseConfig } from '../../src/platform/config/load.ts';
import { type Gate, openGate } from './support/gate.ts';

/** An introspection endpoint that remembers what it was shown and knows the tokens with its prefix. */
async function startIntrospector(prefix: string) {
  const shown: string[] = [];
  const server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const token = new URLSearchParams(body).get('token') ?? '';
    if (request.method === 'POST') shown.push(token);
    const exp = Math.floor(Date.now() / 1000) + 300;
    const live = { active: true, sub: `user of ${prefix}`, aud: 'app', token_type: 'Bearer', exp };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(token.startsWith(prefix) ? live : { active: false }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    shown,
    url,
    issuer: `https://${prefix.replace(/\W|_/g, '')}.example`,
    stop: () => server.close().closeAllConnections(),
  };
}

type Introspector = Awaited<ReturnType<typeof startIntrospector>>;

describe('an opaque token', () => {
  let one: Introspector;
  let two: Introspector;
  let gate: Gate;
  const provider = (id: string, { issuer, url }: Introspector, tokens?: readonly string[]) => ({
    ...{ id, issuer, jwksUri: url, audiences: ['app'], clientId: 'gate', clientSecret: 'secret of the gate in tests' },
    introspection: { enabled: true, url, ...(tokens === undefined ? {} : { tokens }) },
  });
  before(async () => {
    one = await startIntrospector('one_');
    two = await startIntrospector('two_');
    gate = await openGate({
      providers: [provider('one', one, ['one_*', 'shared_*']), provider('two', two)],
      rules: [
        { match: { path: '/one/**' }, allow: { providers: ['one'] } },
        { match: { path: '/two/**' }, allow: { providers: ['two'] } },
        { match: { path: '/machines/**' }, allow: { providers: ['mtls'] } },
        { match: { path: '/public/**' }, public: true },
        { match: { path: '/**' }, allow: 'anyone-signed-in' },
      ],
      clientCertificates: { header: 'client-cert' },
    });
  });
  after(async () => {
    await gate?.close();
    one?.stop();
    two?.stop();
  });
  beforeEach(() => {
    one.shown.length = 0;
    two.shown.length = 0;
  });

  it('is shown to the provider that the rule takes, and to no other', async () => {
    assert.equal((await gate.ask('/one/x', { token: 'one_a' })).status, 200);
    assert.equal((await gate.ask('/two/x', { token: 'two_a' })).status, 200);
    assert.equal((await gate.ask('/two/x', { token: 'one_b' })).status, 401, 'asked at two, which does not know it');
    assert.equal((await gate.ask('/one/x', { token: 'two_b' })).status, 401, 'not of the form of one');
    assert.equal((await gate.ask('/machines/x', { token: 'two_c' })).status, 401);
    assert.equal((await gate.ask('/public/x', { token: 'two_d' })).status, 200);
    assert.deepEqual([one.shown, two.shown], [['one_a'], ['two_a', 'one_b']]);
  });

  it('is shown by its pattern where the rule takes several, whatever was asked before', async () => {
    for (const token of ['one_x', 'shared_x', 'two_x', 'other_x', 'xone_']) await gate.ask('/any', { token });
    await gate.ask('/one/x', { token: 'other_x' });
    assert.deepEqual(
      [one.shown, two.shown],
      [
        ['one_x', 'shared_x'],
        ['two_x', 'other_x', 'xone_'],
      ],
    );
    assert.equal((await gate.ask('/two/x', { token: 'one_x' })).status, 401, 'no answer of one is used for two');
  });

  it('is none of our own, which no provider sees', async () => {
    for (const token of [`pst_ABCDEFGHIJ_${'k'.repeat(43)}`, 'pst_', 'pst_short'])
      for (const path of ['/two/x', '/any']) assert.equal((await gate.ask(path, { token })).status, 401);
    assert.deepEqual([one.shown, two.shown], [[], []]);
  });

  it('needs patterns in the configuration where a rule takes several providers', () => {
    const parse = (first: object, second: object, rules: readonly object[]) =>
      parseConfig({ auth: { providers: [first, second], rules } });
    const any = [{ match: { path: '/**' }, allow: 'anyone-signed-in' }];
    assert.throws(
      () => parse(provider('one', one), provider('two', two), any),
      /auth\.providers\[1\]\.introspection\.tokens: auth\.rules\[0\] takes opaque tokens of one and two/,
    );
    const apart = ['one', 'two'].map((id) => ({ match: { path: `/${id}` }, allow: { providers: [id] } }));
    parse(provider('one', one), provider('two', two), apart);
    parse(provider('one', one), provider('two', two, []), any);
    parse(provider('one', one, ['one_*']), provider('two', two), any);
  });
});
