import assert from 'node:assert/strict';
import {
  checkClaims,
  isFor,
  readAudience,
  readIdentity,
  readPerson,
} from '../../../src/forward-auth/authenticators/token-claims.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { imagineProvider, imagineRequest } from '../support/imagined.ts';

const NOW = Date.parse('2026-07-28T12:00:00Z');
const EXP = NOW / 1000 + 300;
const RESOURCES = new Resources('https://mcp.example.com', ['github', 'files']);
const GITHUB = RESOURCES.of(imagineRequest('/servers/github/mcp'));
const FILES = RESOURCES.of(imagineRequest('/servers/files/mcp'));

describe('tokens of providers without resource indicators', () => {
  const cases = {
    'Entra v2': {
      settings: {
        serverAudiences: { github: ['api://github-mcp', '5ad9c1f2-0000-4000-8000-000000000001'] },
        authorizedParties: ['11111111-2222-4333-8444-555555555555'],
        claims: { subject: 'oid', groups: 'roles' },
      },
      claims: {
        aud: '5ad9c1f2-0000-4000-8000-000000000001',
        azp: '11111111-2222-4333-8444-555555555555',
        oid: 'c0ffee',
        scp: 'mcp.use mcp.admin',
        roles: ['engineering'],
      },
      scopes: ['mcp.use', 'mcp.admin'],
    },
    Google: {
      settings: {
        serverAudiences: { github: ['42.apps.googleusercontent.com'] },
        authorizedParties: ['42.apps.googleusercontent.com'],
      },
      claims: {
        aud: '42.apps.googleusercontent.com',
        azp: '42.apps.googleusercontent.com',
        sub: '1234567890',
        scope: 'openid https://www.googleapis.com/auth/userinfo.email',
      },
      scopes: ['openid', 'https://www.googleapis.com/auth/userinfo.email'],
    },
    Keycloak: {
      settings: {
        serverAudiences: { github: ['github-mcp'] },
        authorizedParties: ['vscode'],
        claims: { groups: 'realm_access.roles' },
      },
      claims: {
        aud: ['account', 'github-mcp'],
        azp: 'vscode',
        typ: 'Bearer',
        sub: 'f00',
        scope: 'mcp:use',
        realm_access: { roles: ['engineering'] },
      },
      scopes: ['mcp:use'],
    },
    Auth0: {
      settings: {
        serverAudiences: { github: ['https://github-mcp.example.com'] },
        authorizedParties: ['aBcD'],
        claims: { scopes: ['scope', 'permissions'] },
      },
      claims: {
        aud: ['https://github-mcp.example.com', 'https://tenant.auth0.com/userinfo'],
        azp: 'aBcD',
        sub: 'auth0|1',
        scope: 'openid',
        permissions: ['mcp:use', 'mcp:admin'],
      },
      scopes: ['openid', 'mcp:use', 'mcp:admin'],
    },
  } as const;

  for (const [name, { settings, claims, scopes }] of Object.entries(cases))
    it(`${name}: by its audience at its server only, from its clients only, with its scopes`, () => {
      const provider = imagineProvider(settings, ['github', 'files']);
      const whole = { ...claims, exp: EXP };
      assert.equal(checkClaims(whole, {}, provider, NOW), undefined);
      const audience = readAudience(whole, provider);
      assert.ok(audience !== undefined && isFor(audience, GITHUB));
      assert.equal(isFor(audience, FILES), false, 'a token for one server is none for another');
      assert.equal(isFor(audience, RESOURCES.rest), false);
      assert.deepEqual(readIdentity(whole, provider)?.scopes, scopes);
      const foreign = checkClaims({ ...whole, azp: 'another-client' }, {}, provider, NOW);
      assert.equal(foreign?.reason, 'token_client');
    });

  it('from no client at all where clients are listed, or with two that disagree', () => {
    const provider = imagineProvider({ authorizedParties: ['good'] });
    const reason = (claims: object) => checkClaims({ exp: EXP, ...claims }, {}, provider, NOW)?.reason;
    assert.equal(reason({}), 'token_client');
    assert.equal(reason({ azp: 'good', client_id: 'bad' }), 'token_client');
    assert.equal(reason({ azp: ['good'] }), 'token_client');
    for (const claim of ['azp', 'client_id', 'appid', 'cid'])
      assert.equal(reason({ [claim]: 'good' }), undefined, claim);
  });

  it('are refused with a server that nobody knows, before anything starts', () => {
    const config = { auth: { providers: [{ id: 'corp', issuer: 'https://a', serverAudiences: { githb: ['x'] } }] } };
    assert.throws(() => parseConfig(config), /serverAudiences\.githb.*no such server/s);
  });
});

describe('tokens that are bound to a key', () => {
  it('are no bearer tokens, whatever binds them', () => {
    const provider = imagineProvider();
    for (const cnf of [{ jkt: 'a' }, { 'x5t#S256': 'a' }, { jwk: {} }, {}, null])
      assert.equal(checkClaims({ exp: EXP, cnf }, {}, provider, NOW)?.reason, 'token_bound', JSON.stringify(cnf));
  });
});

describe('tokens of programs that signed in as themselves', () => {
  const provider = imagineProvider();

  it('are of the client', () => {
    for (const claims of [
      { client_id: 'robot' },
      { client_id: 'robot', sub: 'robot' },
      { azp: 'robot' },
      { appid: 'robot' },
      { cid: 'robot' },
    ])
      assert.equal(readIdentity(claims, provider)?.subject, 'client:robot', JSON.stringify(claims));
    const byEmail = imagineProvider({ claims: { subject: 'email' } });
    assert.equal(readIdentity({ client_id: 'robot', sub: 'robot' }, byEmail)?.subject, 'client:robot');
    assert.equal(readIdentity({ client_id: 'a@example.com' }, byEmail)?.subject, 'client:a@example.com');
  });

  it('keep the bare id where the operator takes the client for the subject, so that no person is one', () => {
    for (const subject of ['client_id', 'azp', 'appid', 'cid']) {
      const byClient = imagineProvider({ claims: { subject } });
      for (const sub of [undefined, 'robot', 'alice'])
        assert.equal(readIdentity({ [subject]: 'robot', sub }, byClient)?.subject, 'robot', subject);
    }
  });

  it('are never those of a person who signs in or is vouched for, whatever they are called', () => {
    assert.equal(readPerson({ sub: 'gate', azp: 'gate' }, provider)?.subject, 'gate');
    assert.equal(readPerson({ azp: 'gate' }, provider), undefined);
    assert.equal(readPerson({ sub: 'client:robot', azp: 'robot' }, provider), undefined);
  });

  it('are not those of people, whose missing claim would make them all one', () => {
    const byEmail = imagineProvider({ claims: { subject: 'email' } });
    assert.equal(readIdentity({ client_id: 'app', sub: 'alice' }, byEmail), undefined);
    assert.equal(readIdentity({ client_id: 'app', username: 'alice' }, provider), undefined);
    assert.equal(readIdentity({ client_id: 'app', email: 'a@example.com', email_verified: false }, byEmail), undefined);
    assert.equal(readIdentity({}, provider), undefined);
  });
});
