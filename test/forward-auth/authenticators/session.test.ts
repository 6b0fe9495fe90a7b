import assert from 'node:assert/strict';
import { SessionAuthenticator } from '../../../src/forward-auth/authenticators/session.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { imagineRequest } from '../support/imagined.ts';
import { BROWSER, cookieOf, ISSUER, imagineReplicas, MINUTE, signedIn } from '../support/imagined-sessions.ts';

const withCookie = (...cookies: string[]) =>
  imagineRequest('/', { headers: cookies.flatMap((cookie) => ['Cookie', cookie]) });

async function imagine() {
  const imagined = imagineReplicas();
  const authenticator = new SessionAuthenticator(imagined.service);
  const cookie = cookieOf(await imagined.service.begin(signedIn(), BROWSER, undefined));
  return {
    ...imagined,
    cookie,
    authenticate: async (...cookies: string[]) => authenticator.authenticate(withCookie(...cookies)),
    authenticator,
  };
}

describe('session authenticator', () => {
  it('is absent where no session cookie is', async () => {
    const { authenticate } = await imagine();
    assert.equal((await authenticate()).kind, 'absent');
    assert.equal((await authenticate('other=1')).kind, 'absent');
  });

  it('gives the same answer, and the same identity for another session of the person', async () => {
    const { authenticate, authenticator, cookie, service } = await imagine();
    const first = await authenticate(cookie);
    assert.ok(first.kind === 'identity');
    assert.equal(first.identity.subject, 'alice');
    assert.equal(first.cookies, undefined);
    assert.equal(authenticator.authenticate(withCookie(cookie)), first, 'at once, and the same object');
    const other = await authenticate(cookieOf(await service.begin(signedIn(), BROWSER, undefined)));
    assert.ok(other.kind === 'identity' && other !== first && other.identity === first.identity);
  });

  it('sends the cookie again when the session’s end has moved', async () => {
    const { authenticate, cookie, clock } = await imagine();
    clock.now += 60 * MINUTE;
    const answer = await authenticate(cookie);
    assert.ok(answer.kind === 'identity' && answer.cookies?.[0]?.startsWith(`${cookie}; Max-Age=28800;`));
  });

  it('removes the cookie of a session that has ended, at the next request after it', async () => {
    const { authenticate, cookie, service } = await imagine();
    await authenticate(cookie);
    for (const { key } of await service.ofUser(ISSUER, 'alice')) await service.end(key, 'signed_out');
    const answer = await authenticate(cookie);
    assert.ok(answer.kind === 'rejected' && answer.status === 401 && answer.reason === 'session_ended');
    assert.match(answer.cookies?.[0] as string, /^__Host-postern=; Max-Age=0; Path=\//);
  });

  it('gives one and the same answer to every cookie that names nothing', async () => {
    const { authenticate } = await imagine();
    const unknown = await authenticate(`__Host-postern=${'A'.repeat(43)}`);
    for (const value of ['', 'x', 'A'.repeat(42), `${'A'.repeat(42)}=`, 'A'.repeat(9000)])
      assert.deepEqual(await authenticate(`__Host-postern=${value}`), unknown);
  });

  it('refuses what could be another’s cookie', async () => {
    const { authenticate, cookie } = await imagine();
    const tossed = await authenticate(`${cookie}; __Host-postern=${'A'.repeat(43)}`);
    assert.ok(tossed.kind === 'rejected' && tossed.status === 400 && tossed.reason === 'credential_conflict');
    const twice = await authenticate(cookie, 'x=1');
    assert.ok(twice.kind === 'rejected' && twice.reason === 'credential_duplicated');
  });

  it('throws while the store is away, so that the cookie stays, and goes on afterwards', async () => {
    const { authenticate, cookie, stores, view } = await imagine();
    await authenticate(cookie);
    stores.away = true;
    view.pubSub.complete = false;
    await assert.rejects(authenticate(cookie), DependencyUnavailable);
    stores.away = false;
    assert.equal((await authenticate(cookie)).kind, 'identity');
  });
});
