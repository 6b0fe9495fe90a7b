import { type Document, parse, parseDocument, type Scalar, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import type { HostAndPort } from '../../platform/config/host-and-port.ts';
import { version } from '../../platform/version.ts';
import { EXAMPLE_ADDRESS } from './choices.ts';
import { deployed } from './deployed.ts';

/** Of this version. */
export const IMAGE = `ghcr.io/postern-mcp/postern:${version()}`;
/** By absolute path, because the processes work in the folder with the configuration. */
const ENTRY = ['node', '/app/bin/postern.js'];
const FOLDER = '/etc/postern';

interface Parts {
  readonly proxy: string;
  /** Where it listens. */
  readonly listen: HostAndPort;
  /** Whether servers are programs, which the relay's container must be able to fetch and run. */
  readonly hasPrograms: boolean;
}

/**
 * The compose file of the proxy's folder in `deploy/`, without the example's provider and server.
 *
 * @param variables names of secrets in `.env`
 */
export function composeText({ proxy, listen, hasPrograms }: Parts, variables: readonly string[]): string {
  const document = parseDocument(deployed(`${proxy}/compose.yaml`));
  const shared = (parse(deployed('example/postern.compose.yaml')) as { services: Record<string, Service> }).services;
  document.commentBefore =
    ' `docker compose up --wait` in this folder. Linux, or Docker Desktop with host networking enabled.';
  document.delete('include');
  document.set('name', 'postern');
  const service = (name: string, part: string, more: { environment?: object; [key: string]: unknown }) => {
    const { build: _, healthcheck, ...rest } = shared[name] as Service;
    const test = healthcheck.test.map((word) => (word === 'bin/postern.js' ? (ENTRY[1] as string) : word));
    const node = document.createNode({
      ...rest,
      image: IMAGE,
      // The owner of client-secret.
      user: '$' + '{CONTAINER_USER}',
      entrypoint: ENTRY,
      working_dir: FOLDER,
      volumes: [`.:${FOLDER}:ro`],
      healthcheck: { ...healthcheck, test },
      ...more,
      environment: {
        ...Object.fromEntries(
          variables.filter((variable) => isFor(part, variable)).map((variable) => [variable, `$\{${variable}}`]),
        ),
        ...more.environment,
      },
    });
    visit(node, { Seq: (_, list) => void Object.assign(list, { flow: true }) });
    return node;
  };
  document.setIn(['services', 'forward-auth'], service('forward-auth', 'AUTH', {}));
  const programs = hasPrograms ? { environment: { HOME: '/tmp' }, tmpfs: ['/tmp:exec,mode=1777'] } : {};
  const depends_on = { 'forward-auth': { condition: 'service_healthy' } };
  document.setIn(['services', 'relay'], service('relay-without-secret', 'RELAY', { depends_on, ...programs }));
  if (hasPrograms)
    explain(
      document,
      ['services', 'relay', 'tmpfs'],
      ' Programs such as npx and uvx are put and run there; by itself an engine mounts it `noexec`.',
    );
  const own = proxy.split('-')[0] as string;
  document.setIn(['services', own, 'volumes'], [`./proxy:${FOLDER}:ro`]);
  const check = document.getIn(['services', own, 'healthcheck', 'test']) as YAMLSeq<Scalar<string>>;
  for (const word of check.items) word.value = askedAt(word.value, listen);
  return document.toString({ lineWidth: 0 });
}

/** Where the health check asks, which is written for {@link EXAMPLE_ADDRESS}. */
function askedAt(word: string, { host, port }: HostAndPort): string {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return word.replaceAll(EXAMPLE_ADDRESS.host, reached).replaceAll(String(EXAMPLE_ADDRESS.port), String(port));
}

function explain(document: Document, path: readonly string[], comment: string): void {
  const map = document.getIn(path.slice(0, -1)) as YAMLMap<Scalar>;
  const key = map.items.find((pair) => pair.key.value === path.at(-1))?.key;
  if (key !== undefined) key.commentBefore = comment;
}

interface Service {
  readonly build?: unknown;
  readonly healthcheck: { readonly test: readonly string[] };
}

/** What both have is in neither's name. */
function isFor(part: string, variable: string): boolean {
  return variable.startsWith(`POSTERN_${part}_`) || !/^POSTERN_(?:AUTH|RELAY)_/.test(variable);
}
