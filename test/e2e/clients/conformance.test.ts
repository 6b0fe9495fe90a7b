import assert from 'node:assert/strict';
import { authorizeAs } from '../../forward-auth/mcp-authorization/support/broker-gate.ts';
import { openCallbackPage, SdkClient } from '../../forward-auth/mcp-authorization/support/mcp-client.ts';
import { type ClientChain, startClientChain } from '../../support/client-chain.ts';
import { clientOrSkip } from '../../support/client-programs.ts';
import { REVISIONS, type Revision, runConformance, runServerScenarios, SCORED } from '../../support/conformance.ts';
import { type ConformanceServer, startConformanceServer } from '../../support/conformance-server/server.ts';
import { type DeployedProxy, PROXIES } from '../../support/deployment.ts';
import { freePorts } from '../../support/free-port.ts';
import { startHeaderInjector } from '../../support/header-injector.ts';
import { HttpPerson } from '../../support/http-person.ts';
import { programOrSkip } from '../../support/programs.ts';

const COMPLETE = process.env.POSTERN_TEST_CLIENTS === 'all';
const THROUGH: readonly DeployedProxy[] = COMPLETE ? ['traefik', 'envoy'] : ['traefik'];
describe('the conformance scenarios of the MCP project', function () {
  this.timeout(300_000);
  let node: string;
  let program: string;
  before(async function () {
    this.timeout(300_000);
    node = await clientOrSkip(this, 'node');
    program = await clientOrSkip(this, 'conformance');
  });

  const run = (url: string, revision: Revision) => runServerScenarios({ node, program }, url, revision);

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
      let injector: Awaited<ReturnType<typeof startHeaderInjector>>;
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
        injector = await startHeaderInjector(chain.endpoint, { authorization: `Bearer ${token}` });
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
        const { passed, failed, output } = await runConformance({ node, program: released }, [
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
        const { output } = await runConformance(
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
