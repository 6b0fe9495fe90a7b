import assert from 'node:assert/strict';
import { CONFLICT, type CookieSettings, SessionCookie } from '../../../src/forward-auth/sessions/cookie.ts';

const HOST_COOKIE: CookieSettings = {
  cookie: '__Host-postern',
  cookieDomains: [],
  sameSite: 'lax',
  partitioned: false,
};
const cookie = new SessionCookie(HOST_COOKIE);
const wide = new SessionCookie({
  cookie: '__Secure-postern',
  cookieDomains: ['example.com', 'apps.example.com'],
  sameSite: 'none',
  partitioned: true,
});

describe('session cookie', () => {
  const texts: Array<[header: string, value: string | undefined]> = [
    ['__Host-postern=a', 'a'],
    ['x=1; __Host-postern=a; y=2', 'a'],
    ['x=1;__Host-postern=a ;y=2', 'a'],
    ['__Host-postern=a; __Host-postern=a', 'a'],
    ['__Host-postern=', ''],
    ['__Host-postern="a"', '"a"'],
    ['__Host-postern=a=b', 'a=b'],
    ['x__Host-postern=a', undefined],
    ['__Host-postern2=a', undefined],
    ['__host-postern=a', undefined],
    ['x=__Host-postern=a', undefined],
    ['x=1 __Host-postern=a', undefined],
    ['__Host-postern', undefined],
    ['', undefined],
  ];
  for (const [header, value] of texts)
    it(`of \`${header}\` is ${value === undefined ? 'none' : `\`${value}\``}`, () => {
      assert.equal(cookie.read(header), value);
    });

  it('twice with different values is a conflict, wherever the second is', () => {
    assert.equal(cookie.read('__Host-postern=a; __Host-postern=b'), CONFLICT);
    assert.equal(cookie.read('__Host-postern=a;x=1;\t__Host-postern='), CONFLICT);
    assert.deepEqual(cookie.readAll('__Host-postern=a; x=1; __Host-postern=b'), ['a', 'b']);
    const many = Array.from({ length: 50 }, (_, i) => `__Host-postern=${i}`).join('; ');
    assert.equal(cookie.readAll(many).length, 4);
  });

  it('does not go on upstream, nor does what signing in leaves behind', () => {
    assert.equal(cookie.stripped(undefined), undefined);
    assert.equal(cookie.stripped('x=1; y=2'), undefined);
    assert.equal(cookie.stripped('x=__Host-postern'), undefined);
    assert.equal(cookie.stripped('__Host-postern=a'), '');
    assert.equal(cookie.stripped('x=1; __Host-postern=a; __Host-postern-state.1=b; y=2'), 'x=1; y=2');
    assert.equal(cookie.stripped('__Host-postern =a;x=1'), 'x=1');
    assert.equal(cookie.stripped('__Host-postern=a; __Host-postern=b; __Host-poster=c'), '__Host-poster=c');
  });

  it('is as its name promises', () => {
    assert.equal(
      cookie.set('v', 1_500, 'mcp.example.com'),
      '__Host-postern=v; Max-Age=2; Path=/; Secure; HttpOnly; SameSite=Lax',
    );
    assert.match(cookie.set('v', 10, 'mcp.example.com'), /Max-Age=1;/);
    assert.deepEqual(cookie.removal('mcp.example.com'), [
      '__Host-postern=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax',
    ]);
  });

  it('goes to the closest domain that covers the host', () => {
    const domain = (host: string) => /Domain=([^;]+)/.exec(wide.set('v', 1000, host))?.[1];
    assert.equal(domain('a.apps.example.com:8443'), 'apps.example.com');
    assert.equal(domain('apps.example.com'), 'apps.example.com');
    assert.equal(domain('A.Example.com'), 'example.com');
    assert.equal(domain('evilexample.com'), undefined);
    assert.match(wide.set('v', 1000, 'example.com'), /; SameSite=None; Partitioned$/);
    assert.equal(wide.removal('example.com').length, 2, 'also the one that an older setting left on the host alone');
  });
});
