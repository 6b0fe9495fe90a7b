import assert from 'node:assert/strict';
import { request } from 'undici';
import { SessionCookie } from '../../../src/forward-auth/sessions/cookie.ts';
import { HttpPerson, type Visited } from '../../support/http-person.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

/** Names of session cookies, and what the cookies of authorizations begin with then. */
const NAMES: ReadonlyArray<readonly [settings: object, prefix: string]> = [
  [{}, '__Host-postern-oauth-'],
  [{ cookie: 'gate' }, '__Host-gate-oauth-'],
  [{ cookie: '__Secure-gate', cookieDomains: ['127.0.0.1'] }, '__Host-gate-oauth-'],
];

describe('the cookies of authorizations', () => {
  let callback: CallbackPage;
  before(async () => {
    callback = await openCallbackPage();
  });
  after(() => callback?.stop());

  for (const [sessions, prefix] of NAMES)
    describe(`beside the session cookie ${JSON.stringify(sessions)}`, () => {
      let gate: BrokerGate;
      let client: RawClient;
      before(async () => {
        gate = await openBrokerGate({ auth: { sessions, rateLimits: [] } });
        client = await RawClient.register(gate, callback.url);
      });
      after(() => gate?.stop());

      const ours = (person: HttpPerson) =>
        person
          .cookie('127.0.0.1')
          .split('; ')
          .filter((pair) => pair.includes('-oauth-'));
      const isConsent = (page: Visited) => page.status === 200 && /oauth\/interaction/.test(page.url.pathname);
      /** Where a browser goes first. */
      const begin = async (person: HttpPerson, state: string): Promise<URL> => {
        const { location } = await person.step(client.authorizationUrl({ state }));
        return new URL(location ?? '', gate.issuer);
      };
      const finish = async (person: HttpPerson, at: URL): Promise<Visited> => {
        let page = await person.visit(at);
        if (/^\/interaction\//.test(page.url.pathname)) page = await person.submit(page, { user: 'alice', do: 'go' });
        return isConsent(page) ? person.submit(page, { decision: 'allow' }) : page;
      };

      it('are host-only, secure, and not for scripts, whatever the session’s is called', async () => {
        const answer = await request(client.authorizationUrl());
        const set = [answer.headers['set-cookie'] ?? []].flat();
        const [, id] = /interaction\/([\w-]+)$/.exec(String(answer.headers.location)) ?? [];
        assert.equal(set.length, 1, set.join('\n'));
        assert.match(
          set[0] as string,
          new RegExp(`^${prefix}${id}=\\d+; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$`),
        );
      });

      it('tell ten authorizations of one browser apart, begun at once and answered in another order', async () => {
        const person = new HttpPerson();
        const states = Array.from({ length: 10 }, (_, index) => `state-${index}`);
        const begun = await Promise.all(states.map((state) => begin(person, state)));
        assert.equal(ours(person).length, 10);
        for (const index of [9, 0, 5, 1, 8, 2, 7, 3, 6, 4]) {
          const { url } = await finish(person, begun[index] as URL);
          assert.equal(url.searchParams.get('state'), states[index], url.href);
          assert.ok(url.searchParams.has('code'), url.href);
        }
        assert.deepEqual(ours(person), [], 'each goes when it was answered');
      });

      it('are bounded: the oldest go, and the newest still end well', async () => {
        const person = new HttpPerson();
        const begun: URL[] = [];
        for (let index = 0; index < 24; index++) begun.push(await begin(person, `state-${index}`));
        assert.equal(ours(person).length, 16);
        const over = await person.visit(begun[0] as URL);
        assert.deepEqual([over.status, /This request is over/.test(over.text)], [400, true]);
        for (const at of begun.slice(-10)) assert.ok((await finish(person, at)).url.searchParams.has('code'));
      });

      it('cannot be planted by a neighbouring host: only the browser that began one answers it', async () => {
        const attacker = new HttpPerson();
        const at = await begin(attacker, 'of the attacker');
        const id = at.pathname.split('/').at(-1) as string;
        const bare = prefix.replace('__Host-', '');
        for (const planted of [
          `postern_oauth_interaction=${id}; postern_oauth_resume=${id}`,
          `interaction=${id}; resume=${id}`,
          `${bare}${id}=1`,
          `__Secure-${bare}${id}=1`,
          `x${prefix}${id}=1`,
          `${prefix.toLowerCase()}${id}=1`,
        ])
          for (const path of [`/interaction/${id}`, `/authorize/${id}`]) {
            const answer = await request(`${gate.issuer}/_postern/oauth${path}`, { headers: { Cookie: planted } });
            const text = await answer.body.text();
            assert.equal(answer.statusCode, 400, `${path} with ${planted}: ${text}`);
          }
        assert.ok((await finish(attacker, at)).url.searchParams.has('code'), 'the same goes on where it began');
      });

      it('go to no application behind', async () => {
        const person = new HttpPerson();
        await begin(person, 'x');
        const cookie = new SessionCookie({
          ...{ cookie: '__Host-postern', cookieDomains: [], sameSite: 'lax' as const, partitioned: false },
          ...sessions,
        });
        assert.equal(cookie.stripped(`a=1; ${ours(person)[0]}; b=2`), 'a=1; b=2');
      });
    });
});
