import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DocumentHost, startDocumentHost } from '../../forward-auth/mcp-authorization/support/document-host.ts';
import { ACCESS_TOKEN_SECONDS, type ClientChain, startClientChain } from '../../support/client-chain.ts';
import { clientOrSkip } from '../../support/client-programs.ts';
import { type DeployedProxy, PROXIES } from '../../support/deployment.ts';
import { freePorts } from '../../support/free-port.ts';
import { programOrSkip } from '../../support/programs.ts';
import { type ClientDriver, openFolder, type RunningClient } from './drivers/driver.ts';
import { INSPECTOR } from './drivers/inspector.ts';
import { MCP_REMOTE } from './drivers/mcp-remote.ts';
import { FASTMCP, PYTHON_MCP } from './drivers/python.ts';
import { SDK_V1, SDK_V1_SSE, SDK_V2 } from './drivers/sdk.ts';

const ALL = [SDK_V1, SDK_V1_SSE, SDK_V2, MCP_REMOTE, INSPECTOR, PYTHON_MCP, FASTMCP];
/** `npm run test:clients` takes all of them through each proxy; otherwise one does, and the others a few. */
const COMPLETE = process.env.POSTERN_TEST_CLIENTS === 'all';
const CLIENTS: Readonly<Partial<Record<DeployedProxy, readonly ClientDriver[]>>> = {
  traefik: ALL,
  envoy: COMPLETE ? ALL : [SDK_V2, PYTHON_MCP],
};
/** Milliseconds; a whole sign-in of a program that starts for it. */
const PATIENCE = 90_000;
/** By which forward-auth still takes a token that has expired, in milliseconds. */
const TOLERANCE = 5_000;

for (const [proxy, drivers] of Object.entries(CLIENTS) as Array<[DeployedProxy, readonly ClientDriver[]]>)
  describe(`real MCP clients through the real ${proxy}, with Postern as their authorization server`, function () {
    this.timeout(PATIENCE);
    let chain: ClientChain;
    let documents: DocumentHost;
    let document: string;
    const running = new Map<ClientDriver, { client: RunningClient; id: string }>();
    const cleanups: Array<() => Promise<void>> = [];

    before(async function () {
      this.timeout(300_000);
      const program = await programOrSkip(this, PROXIES[proxy].program);
      documents = await startDocumentHost();
      document = documents.serve('/client.json', {
        client_name: 'a client with a document',
        redirect_uris: [
          ...['http://127.0.0.1/callback', 'http://127.0.0.1/oauth/callback'],
          ...['http://localhost/callback', 'http://localhost/oauth/callback'],
        ],
        token_endpoint_auth_method: 'none',
      });
      chain = await startClientChain(proxy, program, {
        settings: {
          POSTERN_AUTH_BROKER_METADATA_DOCUMENTS_PRIVATE_HOSTS: JSON.stringify([documents.host]),
          POSTERN_AUTH_BROKER_METADATA_DOCUMENTS_CA_PATH: documents.caPath,
        },
      });
    });
    after(async () => {
      for (const { client } of running.values()) await client.stop();
      for (const cleanup of cleanups.toReversed()) await cleanup();
      await chain?.stop();
      await documents?.stop();
    });

    async function start(context: Mocha.Context, driver: ClientDriver, named?: string): Promise<RunningClient> {
      context.timeout(300_000);
      const programs: Record<string, string> = {};
      for (const name of driver.needs) programs[name] = await clientOrSkip(context, name);
      context.timeout(PATIENCE);
      const { folder, browser, remove } = await openFolder();
      cleanups.push(remove);
      const [callbackPort = 0] = await freePorts(1);
      return driver.start({ endpoint: chain.endpoint, document: named, callbackPort, folder, browser, programs });
    }
    /** What the authorization server has written since, once it has written something of this kind. */
    async function audited(kind: string, since: number, of: Readonly<Record<string, unknown>> = {}) {
      const fits = (line: Readonly<Record<string, unknown>>) =>
        line.audit === kind && Object.entries(of).every(([name, value]) => line[name] === value);
      for (const deadline = Date.now() + 10_000; ; await sleep(50)) {
        const found = chain.audit().slice(since).find(fits);
        if (found !== undefined) return found;
        if (Date.now() > deadline)
          throw new Error(`no ${kind} ${JSON.stringify(of)} in ${JSON.stringify(chain.audit().slice(since))}`);
      }
    }
    function known(driver: ClientDriver, context: Mocha.Context): { client: RunningClient; id: string } {
      return running.get(driver) ?? context.skip();
    }

    for (const driver of drivers) {
      it(`${driver.name} discovers, registers, signs in and calls a tool`, async function () {
        const since = chain.audit().length;
        const client = await start(this, driver);
        assert.match(await client.call('test_simple_text'), /simple text response/);
        const { client: id } = await audited('client_registered', since);
        await audited('consent_given', since, { client: id });
        running.set(driver, { client, id: String(id) });
      });

      if (driver.can.document)
        it(`${driver.name} names itself by its document instead`, async function () {
          const since = chain.audit().length;
          const client = await start(this, driver, document);
          try {
            assert.match(await client.call('test_simple_text'), /simple text response/);
            await audited('token_issued', since, { client: document });
          } finally {
            await client.stop();
          }
        });
    }

    // A session over HTTP+SSE ends with its token, and this client begins its next stream without `initialize`.
    const lasting = drivers.filter((driver) => driver !== SDK_V1_SSE);
    for (const driver of lasting)
      it(`${driver.name} renews its token without the person`, async function () {
        const { client, id } = known(driver, this);
        // A client whose stream has ended with its token renews it at once, not only for the next call.
        const since = chain.audit().length;
        await expiry(id);
        assert.match(await client.call('test_simple_text'), /simple text response/);
        await audited('token_issued', since, { client: id, grantType: 'refresh_token' });
        assert.ok(
          !chain
            .audit()
            .slice(since)
            .some((line) => line.audit === 'consent_given' && line.client === id),
          'nobody was asked',
        );
      });
    /** By the clock, because nothing happens when a token ends. */
    async function expiry(id: string): Promise<void> {
      const issued = chain.audit().findLast((line) => line.audit === 'token_issued' && line.client === id)?.time;
      const ends = Date.parse(String(issued)) + ACCESS_TOKEN_SECONDS * 1_000 + TOLERANCE;
      await sleep(Math.max(0, ends - Date.now() + 1_000));
    }

    for (const driver of lasting)
      if (driver.can.stepUp)
        it(`${driver.name} asks for the scope that a tool needs`, async function () {
          const { client, id } = known(driver, this);
          const since = chain.audit().length;
          assert.match(await client.call('delete_everything'), /nothing was done/);
          const { scopes } = await audited('consent_given', since, { client: id });
          assert.deepEqual(scopes, ['mcp:use', 'mcp:admin']);
        });

    let signedOut = 0;
    it('ending the sessions of a person ends what their clients may do', async () => {
      signedOut = chain.audit().length;
      assert.ok((await chain.signOut('alice')) > 0);
    });
    for (const driver of lasting)
      it(`${driver.name} has to ask the person again after that`, async function () {
        const { client, id } = known(driver, this);
        assert.match(await client.call('test_simple_text'), /simple text response/);
        await audited('consent_given', signedOut, { client: id });
      });
  });
