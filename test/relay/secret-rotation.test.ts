import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import { afterEach, describe, it } from 'mocha';
import { ask, ECHO, endAll, relay, upstream } from './support/relay.ts';

const [OLD, NEW] = ['the old secret, which is long enough', 'the new secret, which is long enough'];

describe('secrets that are rotated without a refused request', () => {
  afterEach(endAll);

  for (const [form, both] of [
    ['a list', [NEW, OLD]],
    ['lines', `${NEW}\n${OLD}\n`],
    ['lines of Windows', `${NEW}\r\n${OLD}`],
  ] as const)
    it(`relay.trust.secret, as ${form}`, async () => {
      const servers = { one: { url: await upstream(ECHO) } };
      const running = await relay({ servers, trust: { secret: OLD } });
      const status = async (secret: string) =>
        (await ask(running.port, { headers: ['X-Authenticated-User', 'alice', 'X-Postern-Proxy-Secret', secret] }))
          .status;
      const take = (secret: unknown) => running.reload({ servers, trust: { secret } });
      assert.deepEqual([await status(OLD), await status(NEW)], [200, 401]);
      await take(both);
      assert.deepEqual(
        [await status(OLD), await status(NEW), await status(`${NEW},${OLD}`), await status('')],
        [200, 200, 401, 401],
      );
      await take(NEW);
      assert.deepEqual([await status(OLD), await status(NEW)], [401, 200]);
    });

  it('relay.jwt.secretKey and relay.operatorToken', async () => {
    const servers = { one: { url: await upstream(ECHO) } };
    const keys = (secret: string | string[]) => ({
      ...{ servers, trust: { enabled: false }, operatorToken: secret },
      jwt: { enabled: true, secretKey: secret },
    });
    const token = async (secret: string) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('alice')
        .setIssuer('mcpgateway')
        .setAudience('mcpgateway-api')
        .setExpirationTime('5m')
        .sign(Buffer.from(secret));
    const running = await relay(keys(OLD));
    const statuses = async () => {
      const found: number[] = [];
      for (const secret of [OLD, NEW]) {
        found.push((await ask(running.port, { headers: ['Authorization', `Bearer ${await token(secret)}`] })).status);
        const headers = { Authorization: `Bearer ${secret}` };
        found.push((await fetch(`http://127.0.0.1:${running.internalPort}/pins`, { headers })).status);
      }
      return found;
    };
    assert.deepEqual(await statuses(), [200, 200, 401, 401]);
    await running.reload(keys([NEW, OLD]));
    assert.deepEqual(await statuses(), [200, 200, 200, 200]);
    await running.reload(keys(NEW));
    assert.deepEqual(await statuses(), [401, 401, 200, 200]);
  });
});
