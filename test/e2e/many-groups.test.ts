import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DEPLOYMENTS, type Deployment } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';
import { ECHO, type Gauntlet, type OpenFront, PUBLIC_URL, startGauntlet } from './attacks/gauntlet.ts';
import { exchange, written } from './attacks/wire.ts';
import { valuesOf } from './attacks/witness.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
const MCP = ['Content-Type: application/json', 'Accept: application/json, text/event-stream'];
const RULES = [
  { match: { path: '/servers/**' }, allow: { groups: ['engineering'] } },
  { match: { path: '/app/**' }, allow: { groups: ['engineering'] }, emit: ['oauth2-proxy', 'authelia'] },
];

/** As many as Entra puts into a token, by their ids. */
const groupsOf = (count: number) => ['engineering', ...Array.from({ length: count - 1 }, () => randomUUID())];

describe('people with many groups, through every shipped proxy', () => {
  let gauntlet: Gauntlet;

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet(RULES);
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
  });

  const bearer = async (groups: readonly string[], resource: string) =>
    `Authorization: Bearer ${await gauntlet.provider.mint({ sub: 'alice', email: `${'alice'.repeat(8)}@example.com`, aud: resource, groups })}`;

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describe(name, function () {
      this.timeout(60_000);
      let front: OpenFront;
      let edge: OpenFront;

      before(async function () {
        this.timeout(300_000);
        const program = await programOrSkip(this, DEPLOYMENTS[name].program);
        front = await gauntlet.open(name, program, 'witness');
        edge = await gauntlet.open(name, program, 'relay');
      });

      const call = (line: string) =>
        exchange(edge, {
          bytes: written({ method: 'POST', target: ECHO, lines: [...MCP, line], body: CALL }),
          patience: 10_000,
        });

      for (const count of [1, 130, 200])
        it(`${count} reach the MCP server`, async () => {
          const before = gauntlet.echo.seen.length;
          const { statuses, text } = await call(await bearer(groupsOf(count), `${PUBLIC_URL}${ECHO}`));
          assert.deepEqual(statuses, [200], text.slice(0, 500));
          assert.equal(gauntlet.echo.seen.length, before + 1);
        });

      it('200 reach an application whole, beside those that are emitted', async () => {
        const groups = groupsOf(200);
        const lines = [await bearer(groups, PUBLIC_URL)];
        const { statuses, text } = await exchange(front, {
          bytes: written({ target: '/app/x', lines }),
          patience: 10_000,
        });
        assert.deepEqual(statuses, [200], text.slice(0, 500));
        const raw = gauntlet.witness.seen.at(-1)?.rawHeaders ?? [];
        for (const header of ['X-Authenticated-Groups', 'X-Auth-Request-Groups', 'Remote-Groups'])
          assert.deepEqual(valuesOf(raw, header).join().split(',').sort(), [...groups].sort(), header);
      });

      it('more than the limit is refused with its name', async () => {
        const before = gauntlet.echo.seen.length;
        const { statuses, text } = await call(await bearer(groupsOf(230), `${PUBLIC_URL}${ECHO}`));
        assert.deepEqual(statuses, [431]);
        assert.match(text, /identity_too_large/);
        assert.match(text, /230 groups.*auth\.limits\.maxIdentity/);
        assert.equal(gauntlet.echo.seen.length, before);
      });
    });
});
