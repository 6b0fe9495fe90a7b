import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { TestAuthority } from '../certificates.ts';
import { startChild } from '../child.ts';
import { freePorts } from '../free-port.ts';
import type { Json, Manifest } from '../istio/manifests.ts';
import { type ApiServerPrograms, apiServerProgramsOrSkip } from './programs.ts';

/** What the API server answers to one object: no warnings and no refusal where it takes it as it is. */
export interface Verdict {
  readonly warnings: readonly string[];
  /** Its message, where it does not take the object. */
  readonly refused?: string;
}

export interface ApiServer {
  /** Server-side apply with strict validation of fields, as `kubectl apply --server-side` and Helm 4 do it. */
  apply(manifest: Manifest): Promise<Verdict>;
  /** A dry run of what a controller would make of it, with all admission. */
  tryCreating(manifest: Manifest): Promise<Verdict>;
  readonly send: Client;
  readonly access: Access;
  stop(): Promise<void>;
}

/** What else needs to be told that is to speak with it, or for it. */
export interface Access {
  readonly url: string;
  readonly token: string;
  readonly caPath: string;
  /** Signs the tokens of service accounts. */
  readonly accountKey: string;
}

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The API server of Kubernetes with its etcd and its default admission; no controller and no node. */
export async function apiServerOrSkip(context: Mocha.Context): Promise<ApiServer> {
  return startApiServer(await apiServerProgramsOrSkip(context));
}

/** @param host the address at which nodes and pods find it */
export async function startApiServer(programs: ApiServerPrograms, host = '127.0.0.1'): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-api-server-'));
  const authority = new TestAuthority();
  const [etcdPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const etcd = await startChild(
    'etcd',
    programs.etcd,
    [
      ...['--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    { ready: `${etcdUrl}/health`, readyOk: true },
  );
  const clean = async () => {
    await etcd.stop();
    authority.remove();
    await rm(folder, { recursive: true, force: true });
  };

  try {
    const token = randomBytes(24).toString('hex');
    await writeFile(join(folder, 'tokens.csv'), `${token},test,test,system:masters\n`, { mode: 0o600 });
    // Tokens of service accounts are signed with RSA or ECDSA; nobody asks for one here, but it does not start without.
    const accountKey = join(folder, 'account.key');
    execFileSync('openssl', ['genrsa', '-out', accountKey, '2048'], { stdio: 'pipe' });
    const { certPath, keyPath } = authority.issue(
      'api-server',
      ...[`IP:${host}`, 'IP:10.96.0.1', 'DNS:kubernetes.default.svc'],
    );
    const agent = new Agent({ connect: { ca: await readFile(authority.caPath) } });
    const url = `https://${host}:${port}`;
    const client = clientOf(url, token, agent);
    const child = await startChild(
      'kube-apiserver',
      programs['kube-apiserver'],
      [
        ...['--etcd-servers', etcdUrl, '--bind-address', host, '--secure-port', String(port)],
        ...['--tls-cert-file', certPath, '--tls-private-key-file', keyPath, '--cert-dir', folder],
        ...['--token-auth-file', join(folder, 'tokens.csv'), '--authorization-mode', 'RBAC'],
        ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-cluster-ip-range', '10.96.0.0/16'],
        // Nobody knows a node by its name.
        '--kubelet-preferred-address-types=InternalIP',
        ...['--service-account-key-file', accountKey, '--service-account-signing-key-file', accountKey],
      ],
      { ready: async () => (await client('GET', '/readyz')).status === 200, patience: 120_000 },
    );
    return {
      ...objectsOf(client),
      send: client,
      access: { url, token, caPath: authority.caPath, accountKey },
      stop: async () => {
        await child.stop();
        await agent.close();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** One request of the API by its path, such as `/api/v1/nodes`. A PATCH is a server-side apply. */
export type Client = (method: 'GET' | 'PATCH' | 'POST' | 'DELETE', path: string, body?: object) => Promise<Answer>;

export interface Answer extends Verdict {
  readonly status: number;
  readonly body: Json;
}

function clientOf(url: string, token: string, dispatcher: Agent): Client {
  return async (method, path, body) => {
    const answer = await request(url + path, {
      method,
      dispatcher,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    const json = text.startsWith('{') ? (JSON.parse(text) as Json) : undefined;
    const warnings = [answer.headers.warning ?? []].flat().map(String);
    const refused = answer.statusCode < 300 ? {} : { refused: String(json?.message ?? text) };
    return { status: answer.statusCode, body: json, warnings, ...refused };
  };
}

function objectsOf(client: Client): Pick<ApiServer, 'apply' | 'tryCreating'> {
  const resources = new Map<string, readonly Resource[]>();
  /** Kinds whose definition was taken: each is served a moment later. */
  const defined = new Set<string>();

  async function resourceOf({ apiVersion, kind }: Manifest): Promise<Resource | undefined> {
    const found = () => resources.get(apiVersion)?.find((one) => one.kind === kind && !one.name.includes('/'));
    const deadline = Date.now() + (defined.has(`${apiVersion} ${kind}`) ? 60_000 : 0);
    while (found() === undefined) {
      const { body } = await client('GET', rootOf(apiVersion));
      resources.set(apiVersion, (body?.resources ?? []) as Resource[]);
      if (Date.now() >= deadline) break;
      if (found() === undefined) await sleep(200);
    }
    return found();
  }

  async function collectionOf(manifest: Manifest): Promise<string | undefined> {
    const resource = await resourceOf(manifest);
    if (resource === undefined) return undefined;
    const namespace = resource.namespaced ? `/namespaces/${manifest.metadata.namespace ?? 'default'}` : '';
    return `${rootOf(manifest.apiVersion)}${namespace}/${resource.name}`;
  }

  async function send(method: 'PATCH' | 'POST', manifest: Manifest, query: string): Promise<Verdict> {
    const collection = await collectionOf(manifest);
    if (collection === undefined)
      return { warnings: [], refused: `no kind ${manifest.kind} in ${manifest.apiVersion}` };
    const name = method === 'PATCH' ? `/${encodeURIComponent(manifest.metadata.name)}` : '';
    const { warnings, refused } = await client(
      method,
      `${collection}${name}?fieldValidation=Strict&${query}`,
      manifest,
    );
    return { warnings, ...(refused === undefined ? {} : { refused }) };
  }

  return {
    apply: async (manifest) => {
      const verdict = await send('PATCH', manifest, 'fieldManager=postern-test&force=true');
      if (manifest.kind === 'CustomResourceDefinition')
        for (const { name } of manifest.spec.versions)
          defined.add(`${manifest.spec.group}/${name} ${manifest.spec.names.kind}`);
      return verdict;
    },
    tryCreating: (manifest) => send('POST', manifest, 'dryRun=All&fieldManager=postern-test'),
  };
}

const rootOf = (apiVersion: string) => (apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`);
