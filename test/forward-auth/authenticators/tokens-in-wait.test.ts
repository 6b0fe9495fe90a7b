import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { GroupNotices } from '../../../src/forward-auth/authenticators/group-notices.ts';
import { JwtAuthenticator } from '../../../src/forward-auth/authenticators/jwt.ts';
import type { ProviderKeys } from '../../../src/forward-auth/authenticators/provider-keys.ts';
import type { Authentication } from '../../../src/forward-auth/decision/authentication.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import type { Queue } from '../../../src/platform/overload-queue.ts';
import { imagineAsked } from '../support/imagined.ts';

const ISSUER = 'https://idp.example.com';
const AUDIENCE = 'https://mcp.example.com';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');

function open() {
  const { auth } = parseConfig({
    publicUrl: AUDIENCE,
    auth: { providers: [{ id: 'corp', issuer: ISSUER, audiences: [AUDIENCE], algorithms: ['EdDSA'] }] },
  });
  const waiting: Array<() => void> = [];
  const queue: Queue = {
    run: <T>(work: () => T | Promise<T>) => new Promise<T>((resolve) => void waiting.push(() => resolve(work()))),
  };
  const clock = { now: Date.now() };
  let verified = 0;
  const keys = {
    find: () => {
      verified += 1;
      return [publicKey];
    },
  } as unknown as ProviderKeys;
  const jwt = new JwtAuthenticator(auth, {
    now: () => clock.now,
    keys: new Map([['corp', keys]]),
    groupNotices: new GroupNotices(createLogger('auth', 'error', { write: () => {} })),
    queue,
    onLookup: () => {},
  });
  const ask = (token: string) =>
    jwt.authenticate(...imagineAsked('/servers/github/mcp', { headers: ['Authorization', `Bearer ${token}`] }));
  const serve = () => {
    for (const begin of waiting.splice(0)) begin();
  };
  return { ask, serve, clock, waiting, verified: () => verified };
}

/** @param seconds of lifetime */
const mint = (sub: string, seconds = 300) =>
  new SignJWT({ sub })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(privateKey);

const outcome = (answer: Authentication) =>
  answer.kind === 'identity' ? answer.identity.subject : answer.kind === 'rejected' ? answer.reason : answer.kind;

describe('tokens that wait for their turn', () => {
  it('are verified once, however many requests wait with the same one', async () => {
    const { ask, serve, verified } = open();
    const [alice, bob] = [await mint('alice'), await mint('bob')];
    const answers = [...Array(20)].flatMap(() => [ask(alice), ask(bob)]);
    serve();
    const outcomes = (await Promise.all(answers)).map(outcome);
    assert.deepEqual(
      outcomes,
      [...Array(20)].flatMap(() => ['alice', 'bob']),
    );
    assert.equal(verified(), 2);
  });

  it('let those who are known pass, at once and without a promise, while 500 wait', async () => {
    const { ask, serve, waiting } = open();
    const alice = await mint('alice');
    const first = ask(alice);
    serve();
    await first;
    const strangers = await Promise.all([...Array(500)].map((_, at) => mint(`person-${at}`)));
    const answers = strangers.map(ask);
    assert.equal(waiting.length, 500);
    const known = ask(alice);
    assert.ok(!(known instanceof Promise));
    assert.equal(outcome(known), 'alice');
    serve();
    assert.deepEqual((await Promise.all(answers)).map(outcome).slice(-2), ['person-498', 'person-499']);
  });

  it('are all refused where the signature is wrong, and one that shares its end is not taken for another', async () => {
    const { ask, serve } = open();
    const [alice, bob] = [await mint('alice'), await mint('bob')];
    const forged = `${bob.slice(0, bob.lastIndexOf('.'))}${alice.slice(alice.lastIndexOf('.'))}`;
    const answers = [ask(forged), ask(alice), ask(forged), ask(alice)];
    serve();
    assert.deepEqual((await Promise.all(answers)).map(outcome), [
      'token_signature',
      'alice',
      'token_signature',
      'alice',
    ]);
  });

  it('are refused where they end while they wait', async () => {
    const { ask, serve, clock, waiting } = open();
    const token = await mint('alice', 100);
    const [first, second] = [ask(token), ask(token)];
    waiting.shift()?.();
    assert.equal(outcome(await first), 'alice');
    clock.now += 3_600_000;
    serve();
    assert.equal(outcome(await second), 'token_expired');
  });
});
