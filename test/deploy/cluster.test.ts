import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome, row } from '../../bench/chaos/report.ts';
import { isWell, load } from '../../bench/chaos/rolling.ts';
import { type Fault, stage } from '../../bench/chaos/stage.ts';
import type { Json, Manifest } from '../support/istio/manifests.ts';
import { chartOrSkip, readManifestsOf } from '../support/kubernetes/chart.ts';
import { readmePolicy, readmeValues } from '../support/kubernetes/chart-values.ts';
import { type Cluster, clusterOrSkip, NODE_ADDRESS } from '../support/kubernetes/cluster.ts';
import { customResourceDefinitionsOrSkip } from '../support/kubernetes/custom-resources.ts';
import { neighbours, PROBE, PUBLIC } from '../support/kubernetes/neighbours.ts';
import { deletePod, podsOf, restart, rolledOut, scale } from '../support/kubernetes/workloads.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { runPostern } from '../support/run-postern.ts';
import { until } from '../support/until.ts';

const NAMESPACES = ['postern', 'mcp-servers', 'traefik', 'elsewhere'];
const PROCESSES = ['gate-forward-auth', 'gate-relay'] as const;
const ENDPOINT = `http://${PUBLIC.host}/servers/github/mcp`;
/** Milliseconds of each fault at least, and of the time after it. */
const SPAN = 5_000;

interface Gate {
  readonly endpoint: string;
  readonly token: string;
  stop(): Promise<void>;
}

describe('the chart in a cluster, with Traefik', function () {
  this.timeout(600_000);
  let cluster: Cluster;
  let provider: TestProvider;
  let chart: readonly Manifest[];

  before(async function () {
    this.timeout(2_700_000);
    cluster = await clusterOrSkip(this);
    provider = await startOpenIdProvider(NODE_ADDRESS);
    const render = await chartOrSkip(this);
    const rendered = await render(await values());
    if ('refused' in rendered) throw new Error(rendered.refused);
    chart = rendered.manifests;
    const definitions = (await customResourceDefinitionsOrSkip(this)).filter(({ spec }) => spec.group === 'traefik.io');
    for (const name of NAMESPACES) await create(namespace(name));
    const all = [...definitions, ...(await secret()), ...(await neighbours()), await readmePolicy(), ...chart];
    // As Helm sends them: accounts before the pods that name them.
    for (const one of all.filter(({ kind }) => kind === 'ServiceAccount')) await create(one);
    for (const one of all.filter(({ kind }) => kind !== 'ServiceAccount')) await create(one);
    const deployments = (await neighbours()).filter(({ kind }) => kind === 'Deployment');
    for (const { metadata } of deployments) await rolledOut(cluster, metadata.namespace as string, metadata.name);
  });
  after(async () => {
    await provider?.stop();
    await cluster?.stop();
  });

  /** Those of the README, for this cluster. */
  async function values(): Promise<Json> {
    const { config, proxy, ...others } = await readmeValues();
    const pods = ['10.244.0.0/24'];
    return {
      ...others,
      image: { repository: 'postern' },
      config: {
        ...config,
        publicUrl: `http://${PUBLIC.host}`,
        auth: { ...config.auth, trustedProxies: pods, providers: [{ id: 'corp', issuer: provider.issuer }] },
        relay: { ...config.relay, trust: { proxies: pods } },
      },
      proxy: { ...proxy, entryPoints: ['web'] },
    };
  }

  const secret = async () =>
    readManifestsOf((await runPostern(['secrets', '--kubernetes', '--name', 'postern-keys'])).stdout);

  function namespace(name: string): Manifest {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } } as unknown as Manifest;
  }

  async function create(manifest: Manifest): Promise<void> {
    const { refused } = await cluster.apply({
      ...manifest,
      metadata: { namespace: 'postern', ...manifest.metadata },
    });
    assert.equal(refused, undefined, `${manifest.kind} ${manifest.metadata.name}`);
  }

  const gate = async (): Promise<Gate> => ({
    endpoint: ENDPOINT,
    token: await provider.mint({ sub: 'alice', aud: ENDPOINT, exp: Math.floor(Date.now() / 1_000) + 3_600 }),
    stop: async () => {},
  });

  it('gets every pod ready, in namespaces that are restricted', async () => {
    for (const name of PROCESSES) await rolledOut(cluster, 'postern', name);
  });

  it('lets a call through Traefik, forward-auth and relay to the MCP server, and none without a token', async () => {
    const reached = await gate();
    await until('a call goes through', () => isWell(reached), 60_000, 500);
    assert.equal(await isWell({ ...reached, token: 'e30.e30.e30' }), false);
  });

  it('answers 503 while no relay is there: 404 would tell clients that their session is gone', async () => {
    const { endpoint, token } = await gate();
    const status = async () => {
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
      const answer = await fetch(endpoint, { method: 'POST', headers, body: '{}' });
      await answer.body?.cancel();
      return answer.status;
    };
    await scale(cluster, 'postern', 'gate-relay', 0);
    await until('Traefik knows', async () => [404, 503].includes(await status()), 60_000, 500);
    assert.equal(await status(), 503);
    await scale(cluster, 'postern', 'gate-relay', 2);
    await until('a call goes through', () => isWell({ endpoint, token }), 60_000, 500);
  });

  describe('under load', () => {
    const podOf = (name: string) => `app.kubernetes.io/component=${name.replace('gate-', '')}`;
    const each = async (act: (name: string) => Promise<void>) => {
      for (const name of PROCESSES) await act(name);
    };
    const removal = (grace?: number) => async () => {
      await sleep(1_000);
      await each(async (name) => {
        const [pod] = await podsOf(cluster, 'postern', podOf(name));
        assert.ok(pod);
        await deletePod(cluster, 'postern', pod.name, grace);
        await rolledOut(cluster, 'postern', name);
      });
    };
    const faults: readonly Fault<Gate>[] = [
      {
        name: 'both Deployments are restarted',
        begin: () => each((name) => restart(cluster, 'postern', name)),
      },
      { name: 'a pod of each is deleted', begin: removal() },
      { name: 'a pod of each is killed', begin: removal(0) },
    ];

    async function play(name: string): Promise<Outcome> {
      const [outcome] = await stage<Gate>({ start: gate, load, isWell, faults }).play([name], SPAN, (one) =>
        console.log(`      ${row(one)}`),
      );
      return outcome as Outcome;
    }

    for (const name of ['both Deployments are restarted', 'a pod of each is deleted'])
      it(`loses no call while ${name}`, async () => {
        const { during, after } = await play(name);
        assertNoLoss(during.counts);
        assertNoLoss(after.counts);
      });

    it('is itself again after a pod of each is killed', async () => {
      // What is lost is counted and printed: calls that these pods were at.
      const { after } = await play('a pod of each is killed');
      assertNoLoss(after.counts);
    });

    function assertNoLoss({
      'call 200': calls = 0,
      'stream resumed': _,
      ...others
    }: Readonly<Record<string, number>>): void {
      assert.deepEqual(others, {});
      assert.ok(calls > 10, `${calls} calls`);
    }
  });

  describe('with its network policies', () => {
    /** `open`, or why there is no connection. */
    async function tryFrom(namespace: string, host: string, port: number): Promise<string> {
      const [probe] = await podsOf(cluster, namespace, 'app=probe');
      return (await fetch(`http://${probe?.address}:${PROBE}/?host=${host}&port=${port}`)).text();
    }

    async function addressOf(namespace: string, selector: string): Promise<string> {
      const [pod] = await podsOf(cluster, namespace, selector);
      return pod?.address as string;
    }

    const targets: readonly [string, string, string, number][] = [
      ['forward-auth', 'postern', 'app.kubernetes.io/component=forward-auth', 4180],
      ['the relay', 'postern', 'app.kubernetes.io/component=relay', 4444],
    ];
    for (const [name, space, selector, port] of targets)
      it(`lets Traefik's namespace reach ${name}, and no other`, async () => {
        const address = await addressOf(space, selector);
        assert.equal(await tryFrom('traefik', address, port), 'open');
        assert.notEqual(await tryFrom('elsewhere', address, port), 'open');
      });

    for (const namespace of ['traefik', 'elsewhere'])
      it(`keeps ${namespace} from health, metrics, the MCP server and Redis`, async () => {
        for (const [selector, port] of [
          ['app.kubernetes.io/component=forward-auth', 9464],
          ['app.kubernetes.io/component=relay', 9465],
        ] as const)
          assert.notEqual(await tryFrom(namespace, await addressOf('postern', selector), port), 'open');
        assert.notEqual(await tryFrom(namespace, await addressOf('mcp-servers', 'app=github-mcp'), 3000), 'open');
        assert.notEqual(await tryFrom(namespace, await addressOf('postern', 'app=redis'), 6379), 'open');
      });

    it('is what keeps them away: without the policy of the relay they reach it', async () => {
      const address = await addressOf('postern', 'app.kubernetes.io/component=relay');
      await cluster.send('DELETE', '/apis/networking.k8s.io/v1/namespaces/postern/networkpolicies/gate-relay');
      await until('it is open', async () => (await tryFrom('elsewhere', address, 4444)) === 'open', 60_000, 500);
      await create(
        chart.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'gate-relay') as Manifest,
      );
      await until('it is shut', async () => (await tryFrom('elsewhere', address, 4444)) !== 'open', 60_000, 500);
    });
  });
});
