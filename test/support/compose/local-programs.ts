import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { contextForgeOrSkip } from '../contextforge.ts';
import { buildDex } from '../dex.ts';
import { goProgramOrSkip } from '../go-program.ts';
import { keycloakHomeOrSkip } from '../keycloak.ts';
import { type ProgramName, programOrSkip } from '../programs.ts';

const run = promisify(execFile);
/** As the image has it: built, which starts faster than from the sources. */
export const POSTERN = fileURLToPath(new URL('../../../bin/postern.js', import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL('../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);

/** What stands for an image on this machine. */
export interface LocalProgram {
  /** What goes before a command, and where nothing of {@link names} is its first word. */
  readonly entrypoint: readonly string[];
  /** Programs of the image by name, where a command or a script begins with it. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** Further arguments, which the image has built in. */
  readonly further?: readonly string[];
  /** Where the program lives in the image, and a copy of it for this run, into which files are mounted. */
  readonly home?: { readonly inImage: string; readonly copy: string };
  /** What ends it; absent: SIGTERM, as an engine does. */
  readonly stopSignal?: NodeJS.Signals;
}

type Find = (context: Mocha.Context) => Promise<LocalProgram>;

const NODE: LocalProgram['names'] = { node: [process.execPath] };

/** BusyBox's `nc -z HOST PORT`, which ends with 0 where somebody listens there. */
const NETCAT = [
  process.execPath,
  '-e',
  "require('net').connect(process.argv[3], process.argv[2]).on('connect', () => process.exit())",
  '--',
];

/** The image's entry point is the program, also where the command begins with its name. */
function proxy(name: ProgramName): Find {
  return async (context) => {
    const program = await programOrSkip(context, name);
    // An engine is there: `npm run test:containers` runs the compose file itself.
    if (program.kind === 'image') return context.skip();
    return { entrypoint: [program.path], names: { [name]: [program.path], nc: NETCAT } };
  };
}

async function dex(context: Mocha.Context): Promise<LocalProgram> {
  const built = await buildDex();
  if ('missing' in built) {
    process.stderr.write(`  skipped: ${built.missing}\n`);
    return context.skip();
  }
  return { entrypoint: [], names: { dex: [built.program] }, further: [built.web] };
}

async function keycloak(context: Mocha.Context): Promise<LocalProgram> {
  const home = await keycloakHomeOrSkip(context);
  const copy = await mkdtemp(join(dirname(home), 'keycloak-run-'));
  // Links: it is large, and only what is mounted is another.
  await run('cp', ['-al', `${home}/.`, copy]);
  return { entrypoint: [join(copy, 'bin', 'kc.sh')], names: {}, home: { inImage: '/opt/keycloak', copy } };
}

/** A program of the tests that answers as the image's is documented to: where that one can be had as an image only. */
function standIn(name: 'authelia' | 'grafana'): Find {
  const program = fileURLToPath(new URL(`stand-ins/${name}.ts`, import.meta.url));
  const entrypoint = [process.execPath, '--import', import.meta.resolve('tsx'), program];
  return async () => ({ entrypoint, names: { [name]: entrypoint } });
}

async function contextForge(context: Mocha.Context): Promise<LocalProgram> {
  const { program, python } = await contextForgeOrSkip(context);
  return { entrypoint: [], names: { mcpgateway: [program], python3: [python] } };
}

/** At SIGTERM it takes requests for three seconds more, for proxies to notice. */
const POSTERN_IMAGE: LocalProgram = { entrypoint: [process.execPath, POSTERN], names: NODE, stopSignal: 'SIGINT' };

/** By the image's name without its tag. */
const PROGRAMS: Readonly<Record<string, Find>> = {
  postern: async () => POSTERN_IMAGE,
  'ghcr.io/postern-mcp/postern': async () => POSTERN_IMAGE,
  // The package is the same one that the tests have installed, so npx need not fetch it.
  node: async () => ({ entrypoint: [], names: { ...NODE, npx: [process.execPath, EVERYTHING] } }),
  traefik: proxy('traefik'),
  caddy: proxy('caddy'),
  nginx: proxy('nginx'),
  haproxy: proxy('haproxy'),
  'envoyproxy/envoy': proxy('envoy'),
  'valkey/valkey': proxy('valkey'),
  'prom/prometheus': proxy('prometheus'),
  'grafana/grafana': standIn('grafana'),
  'authelia/authelia': standIn('authelia'),
  'ghcr.io/dexidp/dex': dex,
  'ghcr.io/ibm/mcp-context-forge': contextForge,
  'quay.io/keycloak/keycloak': keycloak,
  'quay.io/oauth2-proxy/oauth2-proxy': async (context) => ({
    entrypoint: [await goProgramOrSkip(context, 'oauth2-proxy', 'github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6')],
    names: {},
  }),
};

/** A skipped suite where the program cannot be had. Throws for an image that nothing is known of. */
export async function findLocalProgram(context: Mocha.Context, image: string): Promise<LocalProgram> {
  const find = PROGRAMS[image.replace(/:[^:/]+$/, '')];
  if (find === undefined) throw new Error(`no local program for the image ${image}`);
  return find(context);
}
