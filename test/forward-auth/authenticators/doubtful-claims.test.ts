import assert from 'node:assert/strict';
import { readAudience, readIdentity } from '../../../src/forward-auth/authenticators/token-claims.ts';
import { imagineProvider } from '../support/imagined.ts';

describe('doubtful claims', () => {
  const provider = imagineProvider();
  const read = (claims: object) => readIdentity({ sub: 'alice', ...claims }, provider);

  it('are nobody where the subject is an e-mail address that is not verified or no address', () => {
    const byEmail = imagineProvider({ claims: { subject: 'email' } });
    const subjectOf = (claims: object) => readIdentity({ sub: 'alice', ...claims }, byEmail)?.subject;
    for (const verified of [false, 'false', 0, null, 'yes'])
      assert.equal(subjectOf({ email: 'admin@example.com', email_verified: verified }), undefined, String(verified));
    for (const email of ['admin@example.com@evil.example', 'admin', ['admin@example.com'], ''])
      assert.equal(subjectOf({ email, email_verified: true }), undefined, String(email));
    for (const claims of [{}, { email_verified: true }, { email_verified: 'true' }])
      assert.equal(subjectOf({ email: 'a@example.com', ...claims }), 'a@example.com');
    const byMail = imagineProvider({ claims: { subject: 'mail', email: 'mail' } });
    assert.equal(readIdentity({ mail: 'admin@example.com', email_verified: false }, byMail), undefined);
    assert.equal(readIdentity({ mail: 'handle', email_verified: false }, byMail)?.subject, 'handle');
  });

  it('give no e-mail address that is not verified, in whatever form that is said', () => {
    for (const verified of [false, 'false', 0, null, 'no'])
      assert.equal(read({ email: 'a@example.com', email_verified: verified })?.email, '', String(verified));
    for (const claims of [{}, { email_verified: true }, { email_verified: 'true' }])
      assert.equal(read({ email: 'a@example.com', ...claims })?.email, 'a@example.com');
  });

  it('give no scope that would be two where scopes are joined by spaces', () => {
    assert.deepEqual(read({ scp: ['mcp:use', 'a b', '"', 'mcp:admin'] })?.scopes, ['mcp:use', 'mcp:admin']);
  });

  it('make no other resource of an audience', () => {
    const resource = 'https://mcp.example.com/servers/b/mcp';
    const matches = (aud: string) => readAudience({ aud }, provider)?.resources.has(resource);
    for (const aud of [
      resource,
      `${resource}/`,
      'HTTPS://MCP.example.com/servers/b/mcp',
      'https://mcp.example.com:443/servers/b/mcp',
    ])
      assert.equal(matches(aud), true, aud);
    for (const aud of [
      'https://mcp.example.com/servers/a/../b/mcp',
      'https://mcp.example.com/servers/a/%2e%2e/b/mcp',
      'https://mcp.example.com/servers/./b/mcp',
      'https://user@mcp.example.com/servers/b/mcp',
      'https://mcp.example.com\\servers\\b\\mcp',
      `${resource}#x`,
      ` ${resource}`,
      `${resource}?x`,
    ])
      assert.equal(matches(aud), false, aud);
  });
});
