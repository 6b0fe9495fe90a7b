import assert from 'node:assert/strict';
import { DEPLOYMENTS, type Deployment } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';
import { type Edit, type Gauntlet, type OpenFront, startGauntlet } from './attacks/gauntlet.ts';
import { breaches } from './attacks/oracle.ts';
import { exchange, written } from './attacks/wire.ts';

/** As docs/encoded-delimiters.md shows it; the other proxies send such paths on as they are. */
const EDITS: Partial<Record<Deployment, readonly Edit[]>> = {
  traefik: ['Slash', 'Semicolon', 'Percent', 'QuestionMark', 'Hash'].map((name) => ({
    ...{ file: 'traefik.yaml', from: `allowEncoded${name}: false`, to: `allowEncoded${name}: true` },
  })),
  ...Object.fromEntries(
    ['envoy', 'envoy-grpc'].map((name) => [
      name,
      [
        {
          file: 'envoy.yaml',
          from: 'path_with_escaped_slashes_action: REJECT_REQUEST',
          to: 'path_with_escaped_slashes_action: KEEP_UNCHANGED',
        },
      ],
    ]),
  ),
};

const TAKEN = [
  ...['/packages/@types%2fnode', '/packages/group%2Fproject/-/raw', '/packages/wiki/C%23', '/packages/100%25'],
  ...['/packages/a%3fb', '/packages/a%3Bb', '/packages/a%2fb%23c?x=%2f', '/packages/caf%C3%A9%2Fb', '/packages/plain'],
];
/** Of another rule, of none, or of which a reading leaves the prefix. */
const REFUSED = [
  ...['/packages/admin%2fx', '/packages%2fadmin/x', '/packages%2fx', '/packages/admin%3bx/y', '/packages/admin%23'],
  ...['/packages/..%2fadmin', '/packages/a%2f..%2f..%2fadmin', '/packages/%2e%2e%2fadmin', '/packages/..%3b/admin'],
  ...['/packages/a%252fb', '/packages/%252e%252e/x', '/packages/%2fadmin', '/packages/a%5cb', '/packages/a%00b'],
  ...['/app/a%2fb', '/public/C%23', '/servers/echo%2fmcp', '/_postern%2fsign-in', '/admin%2fx'],
];

describe('paths with encoded delimiters, where a rule takes them', () => {
  let gauntlet: Gauntlet;

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet();
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
  });

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describe(name, function () {
      this.timeout(60_000);
      let front: OpenFront;

      before(async function () {
        this.timeout(300_000);
        const program = await programOrSkip(this, DEPLOYMENTS[name].program);
        front = await gauntlet.open(name, program, 'witness', EDITS[name]);
      });

      async function ask(target: string) {
        const before = gauntlet.witness.seen.length;
        const lines = [`Authorization: Bearer ${gauntlet.token}`];
        const { statuses } = await exchange(front, { bytes: written({ target, lines }), patience: 10_000 });
        return { status: statuses[0], seen: gauntlet.witness.seen.slice(before) };
      }

      // RFC 3986 §6.2.2.1: Traefik writes the digits in upper case, for forward-auth too.
      const upper = (target: string) => target.replace(/%[0-9a-f]{2}/gi, (code) => code.toUpperCase());

      it('they arrive as they were sent, with an assertion for that very path', async () => {
        for (const target of TAKEN) {
          const { status, seen } = await ask(target);
          assert.deepEqual([status, seen.map(({ url }) => upper(url))], [200, [upper(target)]]);
          for (const one of seen) assert.deepEqual(await breaches(one, gauntlet.expected), []);
        }
      });

      it('what leads elsewhere in any reading is refused', async () => {
        for (const target of REFUSED) {
          const { status, seen } = await ask(target);
          assert.ok(status !== undefined && [400, 403, 404].includes(status), `${target}: ${status}`);
          assert.equal(seen.length, 0, target);
        }
      });

      it('without a credential they are a challenge', async () => {
        const bytes = written({ target: '/packages/@types%2fnode' });
        assert.deepEqual((await exchange(front, { bytes, patience: 10_000 })).statuses, [401]);
      });
    });
});
