import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { authorizeAs } from '../../forward-auth/mcp-authorization/support/broker-gate.ts';
import { openCallbackPage, SdkClient } from '../../forward-auth/mcp-authorization/support/mcp-client.ts';
import { type ClientChain, startClientChain } from '../../support/client-chain.ts';
import { clientOrSkip } from '../../support/client-programs.ts';
import { type ConformanceServer, startConformanceServer } from '../../support/conformance-server/server.ts';
import { type DeployedProxy, PROXIES } from '../../support/deployment.ts';
import { freePorts } from '../../support/free-port.ts';
import { HttpPerson } from '../../support/http-person.ts';
import { programOrSkip } from '../../support/programs.ts';
import { startTokenInjector } from '../../support/token-injector.ts';

const COMPLETE = process.env.POSTERN_TEST_CLIENTS === 'all';
const THROUGH: readonly DeployedProxy[] = COMPLETE ? ['traefik', 'envoy'] : ['traefik'];
const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
/** Scenarios that count for a revision; the package runs some more, which it does not score. */
const SCORED = { '2025-11-25': 30, '2026-07-28': 37 } as const;

interface Outcome {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly output: string;
}

/** Runs a program of the package, whose exit code says nothing that its summary does not say better. */
function conformance(
  { node, program }: { node: string; program: string },
  args: readonly string[],
  onOutput: (output: string) => void = () => {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      node,
      [program, ...args],
      { timeout: 240_000, maxBuffer: 64 * 1024 * 1024, env: { PATH: `${dirname(node)}:${process.env.PATH}` } },
      (_error, stdout, stderr) => {
        const [, summary = ''] = stdout.split('=== SUMMARY ===');
        const [scored = ''] = summary.split('Total:');
        const names = (mark: string) =>
          [...scored.matchAll(new RegExp(`^${mark} ([\\w-]+):`, 'gm'))].map(([, n = '']) => n);
        resolve({ passed: names('✓'), failed: names('✗'), output: stdout + stderr });
      },
    );
    let output = '';
    child.stdout?.on('data', (text: string) => {
      output += text;
      onOutput(output);
    });
    child.stderr?.on('data', (text: string) => {
      output += text;
      onOutput(output);
    });
  });
}

/** What the package runs beside the scored scenarios: not required, or of extensions that the server does not have. */
function unscored({ output }: Outcome): ReadonlySet<string> {
  const [, list = ''] = output.split('Not scored for');
  return new Set([...list.matchAll(/^\s+[✓✗] ([\w-]+) \(/gm)].map(([, name = '']) => name));
}

describe('the conformance scenarios of the MCP project', function () {
  this.timeout(300_000);
  let node: string;
  let program: string;
  before(async function () {
    this.timeout(300_000);
    node = await clientOrSkip(this, 'node');
    program = await clientOrSkip(this, 'conformance');
  });

  async function run(url: string, revision: (typeof REVISIONS)[number]) {
    const outcome = await conformance({ node, program }, ['server', '--url', url, '--requirements', revision]);
    const others = unscored(outcome);
    const scored = (names: readonly string[]) => names.filter((name) => !others.has(name));
    assert.ok(outcome.passed.length > 0, outcome.output);
    return { passed: scored(outcome.passed), failed: scored(outcome.failed), output: outcome.output };
  }

  describe('against the MCP server of the tests, directly', () => {
    let server: ConformanceServer;
    before(async () => {
      server = await startConformanceServer();
    });
    after(async () => {
      await server?.stop();
    });
    for (const revision of REVISIONS)
      it(`${revision}: all ${SCORED[revision]}`, async () => {
        const { passed, failed } = await run(server.url, revision);
        assert.deepEqual([failed, passed.length], [[], SCORED[revision]]);
      });
  });

  for (const proxy of THROUGH)
    describe(`against the same server behind ${proxy}, forward-auth and the relay`, () => {
      let chain: ClientChain;
      let injector: Awaited<ReturnType<typeof startTokenInjector>>;
      let callbackPort: number;
      before(async function () {
        this.timeout(300_000);
        const proxyProgram = await programOrSkip(this, PROXIES[proxy].program);
        [callbackPort = 0] = await freePorts(1);
        chain = await startClientChain(proxy, proxyProgram, {
          settings: {
            POSTERN_AUTH_BROKER_ACCESS_TOKEN_LIFETIME: '30m',
            POSTERN_AUTH_BROKER_CLIENTS: JSON.stringify([
              { id: 'conformance', redirectUris: [`http://127.0.0.1:${callbackPort}/callback`] },
            ]),
          },
        });
        const page = await openCallbackPage();
        const { access_token: token } = await new SdkClient(page.url).connect(chain.endpoint, 'mcp:use mcp:admin');
        await page.stop();
        injector = await startTokenInjector(chain.endpoint, token);
      });
      after(async () => {
        await injector?.stop();
        await chain?.stop();
      });

      for (const revision of REVISIONS)
        it(`${revision}: all ${SCORED[revision]}, as without anything in between`, async () => {
          const { passed, failed, output } = await run(injector.url, revision);
          assert.deepEqual([failed, passed.length], [[], SCORED[revision]], output);
        });

      it('release 0.1.16: all of its 30', async function () {
        const released = await clientOrSkip(this, 'conformance-0.1');
        const { passed, failed, output } = await conformance({ node, program: released }, [
          'server',
          '--url',
          injector.url,
        ]);
        assert.deepEqual([failed, passed.length], [[], 30], output);
      });

      it('the authorization server: metadata and the authorization code grant', async () => {
        const person = new HttpPerson();
        const visits = new Set<string>();
        const settings = ['--url', chain.publicUrl, '--client-id', 'conformance', '--resource', chain.endpoint];
        const visit = (output: string) => {
          for (const [url] of output.matchAll(/https?:\/\/\S+\/authorize\?[^\s"']+(?=\s)/g))
            if (!visits.has(url)) {
              visits.add(url);
              void authorizeAs(person, url);
            }
        };
        const { output } = await conformance(
          { node, program },
          ['authorization', ...settings, '-p', String(callbackPort)],
          visit,
        );
        assert.equal(visits.size, 1, output);
        assert.match(output, /Total: \d+ passed, 0 failed|Passed: \d+\/\d+, 0 failed/, output);
        assert.doesNotMatch(output, /FAILURE|[1-9]\d* failed/, output);
      });
    });
});
