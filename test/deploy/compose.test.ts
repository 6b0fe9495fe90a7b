import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type CopiedDeploy, copyDeploy } from '../support/compose/copied-deploy.ts';
import { composeLoaderOrSkip, type LoadProject } from '../support/compose/project.ts';
import { type RunningProject, startProject } from '../support/compose/start.ts';

const CHECK = fileURLToPath(new URL('../../deploy/check/check.mjs', import.meta.url));
const run = promisify(execFile);
const ENV = { POSTERN_RELAY_TRUST_SECRET: 'the secret that proxy and relay share' };

/** Folders of `deploy/` with a compose file whose every image has a program on this machine. */
const FOLDERS = ['traefik', 'envoy', 'envoy-grpc', 'caddy', 'nginx', 'haproxy'];

describe('the compose files of deploy/', () => {
  let load: LoadProject;
  before(async function () {
    this.timeout(300_000);
    load = await composeLoaderOrSkip(this);
  });

  for (const name of FOLDERS)
    describe(name, () => {
      let copy: CopiedDeploy | undefined;
      let running: RunningProject | undefined;
      before(async function () {
        this.timeout(400_000);
        copy = await copyDeploy(name);
        running = await startProject(this, await load(`${copy.folder}/compose.yaml`, ENV));
      });
      after(async function () {
        this.timeout(60_000);
        await running?.stop();
        await copy?.remove();
      });

      it('starts, and its check script finds nothing wrong', async function () {
        this.timeout(120_000);
        const { stdout } = await check(copy as CopiedDeploy);
        assert.match(stdout, /all is well/);
      });
    });
});

describe('the check script of deploy/', () => {
  it('finds every hole of a gate that lets everybody in', async () => {
    const open = createServer((_request, response) => response.end('{}'));
    open.listen(0, '127.0.0.1');
    await once(open, 'listening');
    try {
      const { port } = open.address() as AddressInfo;
      const address = `http://127.0.0.1:${port}`;
      const args = [CHECK, '--edge', address, '--relay', address, '--challenge', 'bare'];
      const { code, stdout } = (await run(process.execPath, args).catch((error) => error)) as {
        code: number;
        stdout: string;
      };
      assert.equal(code, 1, stdout);
      assert.equal(stdout.match(/^FAIL /gm)?.length, 8, stdout);
      for (const what of ['without a session', 'written by the client', 'relay itself'])
        assert.match(stdout, new RegExp(`^FAIL .*${what}`, 'm'));
    } finally {
      open.close();
    }
  });
});

/** As a person runs it. Rejects with what it printed where anything failed. */
async function check({ folder }: CopiedDeploy): Promise<{ stdout: string }> {
  try {
    return await run('sh', [`${folder}/check.sh`], { timeout: 110_000 });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`check.sh: ${stdout}${stderr}`);
  }
}
