import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { TRUST_PRESET_NAMES } from '../../../../src/platform/config/trust-presets.ts';
import { type Answer, ask, ECHO, endAll, type RelayUnderTest, relay, upstream } from '../../support/relay.ts';
import { Judge } from './judge.ts';
import { authentikSigned, type Headers, SECRET, type SignedSystem, SYSTEMS, type System } from './systems.ts';
import { type Json, makeKeys, signToken } from './token-signer.ts';

/** What the configured secret asks of every request. */
function proven(system: System, headers: Headers): string[] {
  return [...headers, ...('secret' in system.trust ? ['X-Postern-Proxy-Secret', SECRET] : [])];
}

async function start(system: System): Promise<RelayUnderTest> {
  return relay({ servers: { one: { url: await upstream(ECHO) } }, trust: system.trust });
}

function send(running: RelayUnderTest, system: System, headers: Headers): Promise<Answer> {
  return ask(running.port, { headers: proven(system, headers) });
}

async function refuses(system: System, headers: Headers, status: number, reason: string): Promise<void> {
  const running = await start(system);
  const answer = await send(running, system, headers);
  assert.equal(answer.status, status, answer.text);
  assert.match(await running.metrics(), new RegExp(`rejected_total\\{reason="${reason}"\\} 1`));
}

const ALL: Array<[name: string, make: () => Promise<System>, signs: boolean]> = [
  ...TRUST_PRESET_NAMES.map((name): [string, () => Promise<System>, boolean] => [
    name,
    SYSTEMS[name],
    ['hyprmcp', 'cloudflare-access', 'aws-alb', 'google-iap', 'pomerium'].includes(name),
  ]),
  ['authentik with its token', authentikSigned, true],
];

for (const [name, make, signs] of ALL)
  describe(`preset ${name}`, () => {
    let system: System;
    beforeEach(async () => {
      system = await make();
    });
    afterEach(endAll);

    it('takes what the product sends, through the relay, and again from memory', async () => {
      const running = await start(system);
      const judge = new Judge({ trust: system.trust });
      for (const { what, headers, identity } of system.genuine) {
        const answers = [await send(running, system, headers), await send(running, system, headers)];
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 200],
          `${what}: ${answers[0]?.text}`,
        );
        const verdict = await judge.verdict(proven(system, headers));
        assert.ok(verdict.kind === 'identified', what);
        for (const [field, value] of Object.entries(identity))
          assert.deepEqual(verdict.identity[field as 'subject'], value, `${what}: ${field}`);
      }
    });

    it('passes nothing of it on to the MCP server', async () => {
      const running = await start(system);
      for (const { headers } of system.genuine) {
        const { text } = await send(running, system, headers);
        const seen = Object.keys(JSON.parse(text).result.headers as object);
        for (const header of headers.filter((_, index) => index % 2 === 0))
          assert.ok(!seen.includes(header.toLowerCase()), header);
      }
    });

    it('refuses a request that says nothing', async () => {
      await refuses(system, [], 401, 'no_identity');
    });

    it('refuses a stranger', async () => {
      const judge = new Judge({ trust: system.trust });
      const [genuine] = system.genuine;
      const reason = await judge.reason(proven(system, genuine?.headers ?? []), '203.0.113.9');
      assert.equal(reason, signs ? `identified ${genuine?.identity.subject}` : 'spoof_attempt');
    });

    it('refuses the header twice, with the same value or another', async () => {
      const headers = system.genuine[0]?.headers ?? [];
      await refuses(system, [...headers, ...headers.slice(0, 2)], 400, 'duplicate_header');
      await refuses(system, [...headers, headers[0] as string, 'mallory'], 400, 'duplicate_header');
    });

    it('refuses aliases of every header that it reads, with and without the genuine one', async () => {
      const headers = system.genuine[0]?.headers ?? [];
      const spelt = headers.filter((_, index) => index % 2 === 0).filter((header) => header.includes('-'));
      const aliases =
        name === 'hyprmcp' ? ['X_Authenticated_User'] : spelt.map((header) => header.replaceAll('-', '_'));
      assert.ok(aliases.length > 0);
      const running = await start(system);
      for (const alias of [...aliases, ...aliases.map((each) => each.replaceAll('_', '.'))])
        for (const sent of [
          [alias, 'mallory'],
          [...headers, alias, 'mallory'],
        ]) {
          const { status, text } = await send(running, system, sent);
          assert.equal(status, 400, `${alias}: ${text}`);
        }
    });

    it('refuses a Connection header that would take the header away', async () => {
      const listed = name === 'hyprmcp' ? 'X-Authenticated-User' : system.user;
      await refuses(
        system,
        [...(system.genuine[0]?.headers ?? []), 'Connection', `close, ${listed}`],
        400,
        'header_connection',
      );
    });

    // Tailscale says nothing of groups.
    if (name !== 'tailscale')
      it('refuses 8 KiB of groups, and says how many there are', async () => {
        const running = await start(system);
        const groups = Array.from({ length: 512 }, (_, index) => `group-${String(index).padStart(9, '0')}`);
        const answer = await send(running, system, system.withGroups?.(groups) ?? []);
        assert.equal(answer.status, 431, answer.text);
        assert.ok(
          running.logs.some((line) => line.includes('512 groups') && line.includes('relay.limits.maxIdentity')),
        );
        assert.ok(!answer.text.includes('group-'));
      });

    it('refuses control characters, raw and encoded', async () => {
      const running = await start(system);
      const lines = [
        'POST /servers/one/mcp HTTP/1.1',
        'Host: mcp.example.com',
        `${system.user}: ali\u0001ce`,
        'Content-Length: 0',
      ];
      assert.match(await raw(running.port, `${lines.join('\r\n')}\r\n\r\n`), /^HTTP\/1\.1 400 /);
      if (system.withControl !== undefined) {
        const answer = await send(running, system, system.withControl);
        assert.ok(answer.status === 401, answer.text);
      }
    });

    if (!signs) {
      it('refuses a user that may be two', async () => {
        for (const user of ['alice, admin', 'alice,alice', 'alice,', ', alice', 'CN=alice, admin', 'Doe, CN=alice'])
          await refuses(system, [system.user, user], 401, 'identity_malformed');
      });

      it('takes a distinguished name, whose commas are its own', async () => {
        const running = await start(system);
        for (const user of [
          'CN=alice',
          'CN=alice, OU=Dev,O=Example',
          '2.5.4.3=alice,dc=example,dc=com',
          'CN=Doe\\, A,O=E',
        ])
          assert.equal((await send(running, system, [system.user, user])).status, 200, user);
      });
    }
    if (name === 'postern')
      it('refuses an issuer that may be two', async () => {
        const issuer = 'https://a.example.com, https://b.example.com';
        await refuses(system, [system.user, 'alice', 'X-Authenticated-Issuer', issuer], 401, 'identity_malformed');
      });
    if (signs) signedContract(() => system, name !== 'hyprmcp');
  });

/** The token as a forger would have it. */
function signedContract(get: () => System, speaksTwice: boolean): void {
  const made = (change: { claims?: Json; header?: Json }, keys?: SignedSystem['keys']) => {
    const signed = get().signed as SignedSystem;
    return signToken(
      keys ?? signed.keys,
      { ...signed.claims, ...change.claims },
      { ...signed.header, ...change.header },
      signed.padded,
    );
  };
  const forged = async (jwt: string) => {
    const signed = get().signed as SignedSystem;
    await refuses(get(), signed.carry(jwt), 401, 'assertion_invalid');
  };

  it('refuses a token of somebody else', async () => {
    for (const change of get().signed?.foreign ?? []) await forged(made(change));
  });

  it('refuses a token that has expired, or says nothing of that', async () => {
    const past = Math.floor(Date.now() / 1000) - 600;
    await forged(made({ claims: { exp: past }, header: { exp: past } }));
    await forged(made({ claims: { exp: undefined }, header: { exp: undefined } }));
  });

  it('refuses a token by a strange key, by its own id and by the known one', async () => {
    const signed = get().signed as SignedSystem;
    await forged(made({}, makeKeys(signed.keys.alg)));
    await forged(made({}, { ...makeKeys(signed.keys.alg), kid: signed.keys.kid }));
  });

  it('refuses other algorithms: none, another kind, and HS256 by the public key', async () => {
    const { keys, padded } = get().signed as SignedSystem;
    const [, payload] = made({}).split('.');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const header = { ...(get().signed?.header ?? {}), kid: keys.kid };
    for (const alg of ['none', 'NONE']) await forged(`${part({ ...header, alg })}.${payload}.`);
    const pem = keys.publicKey.export({ type: 'spki', format: 'pem' });
    const input = `${part({ ...header, alg: 'HS256' })}.${payload}`;
    await forged(`${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`);
    const other = { ...makeKeys(keys.alg === 'RS256' ? 'ES256' : 'RS256'), kid: keys.kid };
    await forged(signToken(other, get().signed?.claims ?? {}, get().signed?.header, padded));
  });

  it('refuses a token without a subject, a cut one, and forward-auth’s own assertion', async () => {
    await forged(made({ claims: { sub: '' } }));
    await forged(made({}).slice(0, -6));
    await forged('no.jwt.atall');
    await forged(made({ header: { typ: 'postern-identity+jwt' } }));
  });

  if (speaksTwice)
    it('refuses a plain header beside it that names somebody else, and one without it', async () => {
      const { beside, carry } = get().signed as SignedSystem;
      assert.ok(beside !== undefined);
      await refuses(get(), [...carry(made({})), ...beside.other], 401, 'assertion_user');
      await refuses(get(), beside.other, 401, 'assertion_missing');
    });

  it('counts our own identity headers beside it and believes none of them', async () => {
    const { carry, claims } = get().signed as SignedSystem;
    const running = await start(get());
    const strays = ['X-Authenticated-User', 'root', 'X-Authenticated-Groups', 'admin'];
    assert.equal((await send(running, get(), [...carry(made({})), ...strays])).status, 200);
    assert.match(await running.metrics(), /rejected_total\{reason="spoof_attempt"\} 1/);
    const verdict = await new Judge({ trust: get().trust }).verdict([...carry(made({})), ...strays]);
    assert.ok(verdict.kind === 'identified');
    assert.equal(verdict.identity.subject, claims.sub);
    assert.deepEqual(verdict.identity.groups, claims.groups);
  });

  it('answers 503 while the keys cannot be had, and is neither a pass nor a sign-out', async () => {
    const { carry, sourceAway } = get().signed as SignedSystem;
    sourceAway();
    const running = await relay({
      servers: { one: { url: await upstream(ECHO) } },
      trust: get().trust,
      authRequired: false,
    });
    const answer = await send(running, get(), carry(made({})));
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '5');
  });
}

/** Bytes that no client library would send. @returns the first line of the answer */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text, 'latin1'));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
