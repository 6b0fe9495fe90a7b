import assert from 'node:assert/strict';
import { endpointSpellings } from '../forward-auth/mcp-authorization/support/endpoint-spellings.ts';
import { type ClientChain, startClientChain } from '../support/client-chain.ts';
import { type DeployedProxy, PROXIES } from '../support/deployment.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';

const LIMIT = 2;
const METADATA = JSON.stringify({ redirect_uris: ['http://127.0.0.1/callback'] });
const CHECKED: readonly DeployedProxy[] = ['nginx', 'traefik'];

for (const proxy of CHECKED)
  describe(`registration in every spelling, through the real ${proxy}`, function () {
    this.timeout(60_000);
    let chain: ClientChain;
    before(async function () {
      this.timeout(120_000);
      const program = await programOrSkip(this, PROXIES[proxy].program);
      const settings = { POSTERN_AUTH_BROKER_REGISTRATION_MAX_PER_ADDRESS: String(LIMIT) };
      chain = await startClientChain(proxy, program, { settings });
    });
    after(() => chain?.stop());

    it('registers no more than one address may', async () => {
      const paths = [
        ...Array.from({ length: LIMIT + 1 }, () => '/_postern/oauth/register'),
        ...endpointSpellings('/_postern/oauth/register', chain.publicUrl),
        ...endpointSpellings('/register', chain.publicUrl),
      ];
      const registered: string[] = [];
      for (const path of paths) {
        const { status } = await rawRequest(Number(new URL(chain.publicUrl).port), path, {
          method: 'POST',
          headers: ['Content-Type', 'application/json'],
          body: METADATA,
        });
        assert.ok(status < 500, `${path}: ${status}`);
        if (status === 201) registered.push(path);
      }
      assert.deepEqual(registered, paths.slice(0, LIMIT));
    });
  });
