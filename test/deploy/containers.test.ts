import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { CopiedDeploy } from '../support/compose/copied-deploy.ts';
import { type EngineFolder, upFolder } from '../support/compose/engine-folder.ts';
import { skipSlow, TRIED, type Trial, trialOf } from '../support/compose/trials.ts';
import { type Engine, engineOrSkip } from '../support/engine.ts';
import { runPostern } from '../support/run-postern.ts';

/** `npm run test:containers`: the compose files by a container engine, with the images, as a person starts them. */
describe('the compose files of deploy/ in containers', () => {
  let engine: Engine;
  let running: EngineFolder | undefined;
  let trial: Trial | undefined;
  const figures: string[] = [];
  before(async function () {
    engine = await engineOrSkip(this);
  });
  afterEach(async function () {
    this.timeout(120_000);
    await running?.remove();
    running = undefined;
    await trial?.stop();
    trial = undefined;
  });
  after(() => {
    if (figures.length > 0) process.stdout.write(`${figures.join('\n')}\n`);
  });

  for (const name of [...TRIED, 'bridge'])
    it(`${name} comes up, its check finds nothing wrong, and it ends in time`, async function () {
      skipSlow(this, name);
      this.timeout(900_000);
      trial = trialOf(name);
      running = await upFolder(engine, name, trial);
      await running.check(trial.check);
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

  it('bridge runs with two of each process, and its check finds nothing wrong', async function () {
    this.timeout(900_000);
    running = await upFolder(engine, 'bridge', {
      files: ['compose.yaml', 'replicas.compose.yaml'],
      scale: { 'forward-auth': 2, relay: 2 },
      prepare: async ({ folder }) => {
        const { stdout } = await runPostern(['secrets', '--env-file']);
        await writeFile(`${folder}/keys.env`, stdout);
      },
    });
    const ids = (await running.compose('ps', '--quiet', 'relay')).stdout.trim().split('\n');
    assert.equal(ids.length, 2);
    const format = '{{range $name, $at := .NetworkSettings.Networks}}{{$name}}={{$at.IPAddress}} {{end}}';
    for (const id of ids) {
      const { stdout } = await engine.docker(['inspect', '--format', format, id]);
      const address = /gate=([\d.]+)/.exec(stdout)?.[1];
      await running.check(['--relay', `http://${address}:${running.copy.port(4444)}`]);
    }
  });

  it('does not come up well where another process has the port of the proxy', async function () {
    this.timeout(600_000);
    const taken = createServer();
    const listening = async (copy: CopiedDeploy) => {
      taken.listen(copy.port(8080), '127.0.0.1');
      await once(taken, 'listening');
    };
    try {
      await assert.rejects(upFolder(engine, 'caddy', { prepare: listening, patience: 90 }), /address already in use/);
    } finally {
      taken.close();
    }
  });
});

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
