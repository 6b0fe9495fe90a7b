import assert from 'node:assert/strict';
import { type ClientChain, startClientChain } from '../../support/client-chain.ts';
import { freePorts } from '../../support/free-port.ts';
import { programOrSkip } from '../../support/programs.ts';
import { type RegisteringProvider, startRegisteringProvider } from '../../support/registering-provider.ts';
import { openFolder } from './drivers/driver.ts';
import { SDK_V1, SDK_V2 } from './drivers/sdk.ts';

describe('MCP clients at a provider that registers them itself, through the real traefik', () => {
  let provider: RegisteringProvider;
  let chain: ClientChain;
  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'traefik');
    provider = await startRegisteringProvider();
    chain = await startClientChain('traefik', program, {
      settings: {
        POSTERN_AUTH_PROVIDERS: JSON.stringify([{ id: 'corp', issuer: provider.issuer }]),
        POSTERN_AUTH_BROKER_ENABLED: 'false',
        POSTERN_AUTH_ORIGIN_METADATA: 'corp',
      },
    });
  });
  after(async function () {
    this.timeout(60_000);
    await chain?.stop();
    await provider?.stop();
  });

  for (const driver of [SDK_V1, SDK_V2])
    it(`${driver.name} finds it in the metadata of the server, registers, calls a tool and steps up`, async () => {
      const before = provider.registered.length;
      const { folder, browser, remove } = await openFolder();
      const [callbackPort = 0] = await freePorts(1);
      const { endpoint } = chain;
      const client = await driver.start({ endpoint, document: undefined, callbackPort, folder, browser, programs: {} });
      try {
        assert.match(await client.call('test_simple_text'), /simple text response/);
        assert.equal(provider.registered.length, before + 1);
        assert.match(await client.call('delete_everything'), /nothing was done/);
      } finally {
        await client.stop();
        await remove();
      }
    });

  it('its metadata is at our own origin, as it is, through the proxy', async () => {
    const theirs = await (await fetch(`${provider.issuer}/.well-known/oauth-authorization-server`)).json();
    const answer = await fetch(`${chain.publicUrl}/.well-known/oauth-authorization-server`);
    assert.deepEqual(await answer.json(), theirs);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  });
});
