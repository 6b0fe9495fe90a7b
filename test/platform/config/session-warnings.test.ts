import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { sessionWarnings } from '../../../src/platform/config/session-warnings.ts';

describe('warnings about sessions', () => {
  const warned = (sessions: object, publicUrl = 'https://mcp.example.com', clientId: string | undefined = 'gate') => {
    const provider = { id: 'corp', issuer: 'https://idp.example.com', ...(clientId === '' ? {} : { clientId }) };
    return sessionWarnings(parseConfig({ publicUrl, auth: { providers: [provider], sessions } })).map(
      (text) => text.split(':')[0],
    );
  };

  it('name a cookie without a prefix at https, and one that every site sends', () => {
    assert.deepEqual(warned({ cookie: 'postern' }), ['auth.sessions.cookie']);
    assert.deepEqual(warned({ cookie: '__host-postern' }), ['auth.sessions.cookie'], 'a prefix has one spelling');
    assert.deepEqual(warned({ sameSite: 'none' }), ['auth.sessions.sameSite']);
    assert.deepEqual(warned({ cookie: 'x', sameSite: 'none' }), ['auth.sessions.cookie', 'auth.sessions.sameSite']);
  });

  it('name plain http where browsers drop the cookie', () => {
    for (const address of [
      'http://intranet.example',
      'http://192.168.1.10:8080',
      'http://[fd00::1]:8080',
      'http://notlocalhost',
    ])
      assert.deepEqual(warned({}, address), ['publicUrl'], address);
    for (const address of ['http://localhost:8080', 'http://app.localhost', 'http://127.0.0.2', 'http://[::1]:8080'])
      assert.deepEqual(warned({}, address), [], address);
    assert.deepEqual(warned({}, 'http://intranet.example', ''), [], 'nobody signs in');
  });

  it('say nothing of what is as it should be, or where nobody signs in', () => {
    assert.deepEqual(warned({}), []);
    assert.deepEqual(warned({ cookie: '__Secure-x', cookieDomains: ['example.com'], sameSite: 'strict' }), []);
    assert.deepEqual(warned({ cookie: 'postern' }, 'http://127.0.0.1:8080'), []);
    assert.deepEqual(warned({ cookie: 'postern', sameSite: 'none' }, undefined, ''), []);
  });
});
