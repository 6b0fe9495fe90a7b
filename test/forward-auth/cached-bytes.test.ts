import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { IdentityPool } from '../../src/forward-auth/authenticators/identity-pool.ts';
import { SessionCache } from '../../src/forward-auth/sessions/session-cache.ts';
import { createLogger } from '../../src/platform/log.ts';
import { VerifiedCache } from '../../src/relay/trust/verified-cache.ts';
import { createMemoryStores } from '../../src/stores/memory/memory-stores.ts';
import { imagineIdentity } from './support/imagined.ts';
import { signedIn } from './support/imagined-sessions.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const MEBIBYTE = 1024 * 1024;
const MAX_BYTES = 8 * MEBIBYTE;
const log = createLogger('auth', 'silent');

/** As long as providers make them. */
const token = () => randomBytes(3_750).toString('base64url');
const groups = (person: number) =>
  Array.from({ length: 100 }, (_, at) => `cn=team-${at}-${person},ou=groups,dc=example`);

/** Bytes that are held once so many people were remembered. */
async function heldBy(remember: (person: number) => unknown, people: number): Promise<number> {
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let person = 0; person < people; person++) await remember(person);
  collect();
  return process.memoryUsage().heapUsed - before;
}

const stores = () => createMemoryStores({ maxSessions: 100_000, maxSessionBytes: MAX_BYTES, log, now: Date.now });

/** What remembers people, and about how many of them it has room for. */
const CACHES: Readonly<Record<string, () => { remember: (person: number) => unknown; max: number }>> = {
  'cached sessions': () => {
    const cache = new SessionCache(
      { maxEntries: 100_000, maxBytes: MAX_BYTES, entryLifetime: 60_000 },
      stores().pubSub,
    );
    const times = { createdAt: 0, renewedAt: 0, endsAt: 1, expiresAt: 1, cachedUntil: 1, quietUntil: 1 };
    return {
      max: MAX_BYTES,
      remember: (person) => {
        const id = randomBytes(32).toString('base64url');
        const tokens = { accessToken: token(), refreshToken: token(), idToken: token() };
        const begun = { ...signedIn({ subject: `person-${person}`, groups: groups(person), tokens }), ...times };
        const session = { ...begun, key: id.slice(1), version: 1, userAgent: '', address: '' };
        cache.keep({ ...times, id, session, visit: { kind: 'live', session } });
      },
    };
  },
  'sessions in memory': () => {
    const { sessions } = stores();
    return {
      max: MAX_BYTES,
      remember: (person) =>
        sessions.create({
          key: randomBytes(32).toString('base64url'),
          version: 1,
          value: randomBytes(15_000).toString('base64url'),
          indexes: [`person-${person}`],
          expiresAt: Date.now() + 600_000,
        }),
    };
  },
  identities: () => {
    const pool = new IdentityPool();
    return {
      max: 4 * MEBIBYTE,
      remember: (person) => pool.intern(imagineIdentity({ subject: `person-${person}`, groups: groups(person) })),
    };
  },
  'verified assertions at the relay': () => {
    const cache = new VerifiedCache<object>(Date.now);
    return {
      max: 48 * MEBIBYTE,
      remember: (person) => cache.set(token(), { groups: groups(person) }, Date.now() / 1000 + 600),
    };
  },
};

describe('memory that is kept for people', function () {
  this.timeout(120_000);

  for (const [what, open] of Object.entries(CACHES))
    it(`is bounded by bytes, whatever number of people there are: ${what}`, async () => {
      const { remember, max } = open();
      // Of 10 KB each at least: all the room is taken, several times.
      const enough = Math.ceil((3 * max) / 10_000);
      const once = await heldBy(remember, enough);
      const again = await heldBy(remember, enough);
      assert.ok(once > max / 8, `${once} bytes: nothing is kept`);
      assert.ok(once < max * 1.5, `${once} bytes where ${max} are allowed`);
      assert.ok(again < max / 4, `${again} bytes more for as many people again`);
    });
});
