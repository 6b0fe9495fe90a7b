import { parse, parseDocument, visit } from 'yaml';
import { version } from '../../platform/version.ts';
import { deployed } from './deployed.ts';

/** Of this version. */
export const IMAGE = `ghcr.io/postern-mcp/postern:${version()}`;
/** By absolute path, because the processes work in the folder with the configuration. */
const ENTRY = ['node', '/app/bin/postern.js'];
const FOLDER = '/etc/postern';

/**
 * The compose file of the proxy's folder in `deploy/`, without the example's provider and server.
 *
 * @param variables names of secrets in `.env`
 */
export function composeText(proxy: string, variables: readonly string[]): string {
  const document = parseDocument(deployed(`${proxy}/compose.yaml`));
  const shared = (parse(deployed('example/postern.compose.yaml')) as { services: Record<string, Service> }).services;
  document.commentBefore =
    ' `docker compose up --wait` in this folder. Linux, or Docker Desktop with host networking enabled.';
  document.delete('include');
  document.set('name', 'postern');
  const service = (name: string, part: string, more: object) => {
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
      environment: Object.fromEntries(
        variables.filter((variable) => isFor(part, variable)).map((variable) => [variable, `$\{${variable}}`]),
      ),
      healthcheck: { ...healthcheck, test },
      ...more,
    });
    visit(node, { Seq: (_, list) => void Object.assign(list, { flow: true }) });
    return node;
  };
  document.setIn(['services', 'forward-auth'], service('forward-auth', 'AUTH', {}));
  const depends_on = { 'forward-auth': { condition: 'service_healthy' } };
  document.setIn(['services', 'relay'], service('relay-without-secret', 'RELAY', { depends_on }));
  const own = proxy.split('-')[0] as string;
  document.setIn(['services', own, 'volumes'], [`./proxy:${FOLDER}:ro`]);
  return document.toString({ lineWidth: 0 });
}

interface Service {
  readonly build?: unknown;
  readonly healthcheck: { readonly test: readonly string[] };
}

/** What both have is in neither's name. */
function isFor(part: string, variable: string): boolean {
  return variable.startsWith(`POSTERN_${part}_`) || !/^POSTERN_(?:AUTH|RELAY)_/.test(variable);
}
