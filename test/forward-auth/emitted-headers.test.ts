import assert from 'node:assert/strict';
import { SignedAnswers } from '../../src/forward-auth/assertions/signed-answers.ts';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { PresetHeaders } from '../../src/identity/presets.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { openSigningKeys } from '../../src/platform/signing-keys.ts';
import { assertAllowed, assertRefused, type Gate, openGate } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const GRAFANA = ['x-webauth-user', 'x-webauth-email', 'x-webauth-name', 'x-webauth-groups'];
const PREFLIGHT = ['Origin', 'https://client.example', 'Access-Control-Request-Method', 'POST'];
const AUTHELIA = ['remote-user', 'remote-email', 'remote-name', 'remote-groups'];

describe('identity headers of other products', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let gate: Gate;
  before(async () => {
    idp = await startKeyServer([key]);
    gate = await openGate({
      providers: [{ id: 'corp', issuer: idp.issuer, audiences: ['apps'] }],
      emit: { groupsDelimiter: ';' },
      rules: [
        { match: { path: '/grafana/**' }, emit: ['grafana'] },
        { match: { path: '/wiki/**' }, emit: ['authelia'] },
        { match: { path: '/open/**' }, public: true },
        { match: { path: '/**' } },
      ],
    });
  });
  after(async () => {
    await gate.close();
    await idp.stop();
  });
  const token = () => idp.sign(key, { aud: 'apps', groups: ['a;b', 'engineering'], email: 'alice@example.com' });

  it('are sent by the rule that names them, and those of every other rule are empty', async () => {
    const grafana = await gate.ask('/grafana/d/1', { token: await token() });
    assertAllowed(grafana, 'alice');
    assert.equal(grafana.headers['x-webauth-user'], 'alice');
    assert.equal(grafana.headers['x-webauth-email'], 'alice@example.com');
    for (const name of AUTHELIA) assert.equal(grafana.headers[name], '', name);

    const wiki = await gate.ask('/wiki/page', { token: await token() });
    assert.equal(wiki.headers['remote-user'], 'alice');
    assert.equal(wiki.headers['remote-groups'], 'a%3Bb;engineering');
    for (const name of GRAFANA) assert.equal(wiki.headers[name], '', name);
  });

  it('are there and empty on every other allow, so that the proxy overwrites what a client sent', async () => {
    const forged = ['Remote-User', 'root', 'X-WEBAUTH-USER', 'root'];
    const answers = [
      await gate.ask('/anything', { token: await token(), headers: forged }),
      await gate.ask('/open/page', { headers: forged }),
      await gate.ask('/servers/github/mcp', { method: 'OPTIONS', headers: [...PREFLIGHT, ...forged] }),
      await gate.ask('/.well-known/oauth-protected-resource', { headers: forged }),
    ];
    for (const answer of answers) {
      assert.equal(answer.status, 200, answer.body);
      for (const name of [...AUTHELIA, ...GRAFANA]) assert.equal(answer.headers[name], '', name);
    }
  });

  it('never stand on a refusal', async () => {
    const answer = await gate.ask('/grafana/d/1');
    assertRefused(answer, 401, 'no_credential');
    for (const name of [...AUTHELIA, ...GRAFANA]) assert.equal(answer.headers[name], undefined, name);
  });

  it('are absent where no rule emits any', async () => {
    const plain = await openGate({ rules: [{ match: { path: '/**' }, public: true }] });
    try {
      const answer = await plain.ask('/');
      for (const name of [...AUTHELIA, ...GRAFANA]) assert.equal(answer.headers[name], undefined, name);
    } finally {
      await plain.close();
    }
  });

  it('come from the cache for the same rule, and are never another rule’s', async () => {
    const log = createLogger('auth', 'silent', { write: () => {} });
    const keys = await openSigningKeys(parseConfig({}).auth.assertion, { log, now: Date.now, at: 'auth.assertion' });
    const settings = { issuer: 'https://mcp.example.com', audience: 'relay', lifetime: 60_000 };
    const answers = new SignedAnswers(keys, settings, Date.now, new PresetHeaders(['grafana', 'authelia']));
    const alice: Identity = { ...ANONYMOUS, subject: 'alice', method: 'session' };
    const request = { method: 'GET', host: 'mcp.example.com', rawPath: '/' };
    const grafana = { emit: ['grafana'] } as const;
    const first = answers.headersFor(alice, request, grafana);
    assert.equal(answers.headersFor(alice, request, grafana), first);
    assert.equal(first[first.indexOf('X-WEBAUTH-USER') + 1], 'alice');
    const other = answers.headersFor(alice, request);
    assert.equal(other[other.indexOf('X-WEBAUTH-USER') + 1], '');
    keys.close();
  });
});
