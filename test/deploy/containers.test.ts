import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type AccessTeam, startAccessTeam } from '../support/compose/access-team.ts';
import { type EngineFolder, upFolder } from '../support/compose/engine-folder.ts';
import type { FolderOptions } from '../support/compose/folder.ts';
import { type Engine, engineOrSkip } from '../support/engine.ts';

const run = promisify(execFile);

let team: AccessTeam | undefined;

/** How each folder is tried; those in the cloud with a provider of the tests, as there is no account there. */
const FOLDERS: Readonly<Record<string, FolderOptions & { readonly check?: readonly string[] }>> = {
  traefik: {},
  envoy: {},
  'envoy-grpc': {},
  caddy: {},
  nginx: {},
  haproxy: {},
  'hyprmcp-dex': {},
  'oauth2-proxy/forward-auth': {},
  'oauth2-proxy/reverse-proxy': {},
  authelia: { prepare: async ({ folder }) => void (await run('sh', [`${folder}/certificate.sh`])) },
  grafana: {},
  contextforge: {},
  'cloudflare-access': {
    // The tunnel needs an account of Cloudflare.
    without: ['cloudflared'],
    prepare: async (copy) => {
      team = await startAccessTeam();
      await team.adopt(copy);
    },
  },
  keycloak: {},
};
/** Takes a minute to start, and Java. */
const SLOW = new Set(['keycloak']);

/** `npm run test:containers`: the compose files by a container engine, with the images, as a person starts them. */
describe('the compose files of deploy/ in containers', () => {
  let engine: Engine;
  let running: EngineFolder | undefined;
  const figures: string[] = [];
  before(async function () {
    engine = await engineOrSkip(this);
  });
  afterEach(async function () {
    this.timeout(120_000);
    await running?.remove();
    running = undefined;
    team?.stop();
    team = undefined;
  });
  after(() => {
    if (figures.length > 0) process.stdout.write(`${figures.join('\n')}\n`);
  });

  for (const [name, { check, ...options }] of Object.entries(FOLDERS))
    it(`${name} comes up, its check finds nothing wrong, and it ends in time`, async function () {
      if (SLOW.has(name) && process.env.POSTERN_TEST_COMPOSE !== 'all') {
        process.stderr.write(`  skipped: ${name} takes a minute to start; set POSTERN_TEST_COMPOSE=all\n`);
        this.skip();
      }
      this.timeout(900_000);
      running = await upFolder(engine, name, options);
      await running.check(check);
      const memory = await running.memory();
      const { milliseconds, states } = await running.stop();
      const sizes = [...memory].map(([service, size]) => `${service} ${Math.round(size)}`).join(', ');
      const codes = states.map(({ service, exitCode }) => `${service} ${exitCode}`).join(', ');
      figures.push(`| ${name} | ${seconds(running.up)} | passed | ${sizes} | ${seconds(milliseconds)} | ${codes} |`);
      for (const { service, exitCode, oomKilled, restarts } of states) {
        // 137 is SIGKILL: the engine's ten seconds were over.
        assert.notEqual(exitCode, 137, `${service} did not end by itself: ${codes}`);
        assert.deepEqual({ service, oomKilled, restarts }, { service, oomKilled: false, restarts: 0 });
      }
      for (const own of ['forward-auth', 'relay'])
        assert.equal(states.find(({ service }) => service === own)?.exitCode ?? 0, 0, codes);
    });
});

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
