import assert from 'node:assert/strict';
import { DEPLOYMENTS, type Deployment } from '../../support/deployment.ts';
import { programOrSkip } from '../../support/programs.ts';
import { describeAttacks, SEED } from './attack-suite.ts';
import { startEncryptedStage } from './encrypted-stage.ts';
import { type Gauntlet, startGauntlet } from './gauntlet.ts';
import { Tally } from './tally.ts';

/** nginx of Debian speaks HTTP/2 with TLS only. */
const CLEARTEXT_HTTP2: readonly Deployment[] = ['traefik', 'caddy', 'envoy', 'envoy-grpc', 'haproxy'];

/** No spelling that the proxy does not know. */
const NONE = /^(?!)/;
const LEFT_TO_THE_RELAY: Readonly<Record<Deployment, RegExp>> = {
  traefik: NONE,
  caddy: /[^\w.-]/,
  nginx: /^(?:x-authenticated|x-auth-request|x-webauth|remote)-[a-z-]+$/,
  envoy: NONE,
  'envoy-grpc': NONE,
  haproxy: /^trailer /,
};

describe('attacks through the real proxies', () => {
  const tally = new Tally();
  let gauntlet: Gauntlet;
  let encrypted: Awaited<ReturnType<typeof startEncryptedStage>> | undefined;

  before(async function () {
    this.timeout(60_000);
    gauntlet = await startGauntlet();
  });
  after(async function () {
    this.timeout(60_000);
    await gauntlet?.stop();
    await encrypted?.stop();
    const table = `seed ${SEED}\n${tally}`.replaceAll('\n', '\n    ');
    process.stdout.write(`\n    ${table}\n`);
  });

  for (const name of Object.keys(DEPLOYMENTS) as Deployment[])
    describeAttacks(name, tally, async (context) => {
      const program = await programOrSkip(context, DEPLOYMENTS[name].program);
      const front = await gauntlet.open(name, program, 'witness');
      const edge = await gauntlet.open(name, program, 'relay');
      const byTls = await gauntlet.open(name, program, 'witness', [], {}, true);
      const http2 = CLEARTEXT_HTTP2.includes(name) ? [front, byTls] : [byTls];
      return { stage: gauntlet, front, edge, http2, leftToTheRelay: LEFT_TO_THE_RELAY[name] };
    });

  describeAttacks('encrypted', tally, async (context) => {
    const program = await programOrSkip(context, 'traefik');
    if (program.kind === 'image') return context.skip();
    encrypted = await startEncryptedStage(program.path);
    const { front, edge } = encrypted;
    return { stage: encrypted, front, edge, http2: [front], leftToTheRelay: LEFT_TO_THE_RELAY.traefik };
  });

  describe('all of them', () => {
    it('arrived as they were judged, or not at all', () => assert.deepEqual(tally.disagreeing, []));
  });
});
