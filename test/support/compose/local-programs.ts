import { fileURLToPath } from 'node:url';
import { goProgramOrSkip } from '../go-program.ts';
import { type ProgramName, programOrSkip } from '../programs.ts';

/** As the image has it: built, which starts faster than from the sources. */
const POSTERN = fileURLToPath(new URL('../../../bin/postern.js', import.meta.url));
const EVERYTHING = fileURLToPath(
  new URL('../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
);

/** What stands for an image on this machine. */
export interface LocalProgram {
  /** The image's entry point, which goes before a command. */
  readonly entrypoint: readonly string[];
  /** Programs of the image by name, where a command or a script begins with it. */
  readonly names: Readonly<Record<string, readonly string[]>>;
}

type Find = (context: Mocha.Context) => Promise<LocalProgram>;

const NODE: LocalProgram['names'] = { node: [process.execPath] };

/** The image's entry point is the program, also where the command begins with its name. */
function proxy(name: ProgramName): Find {
  return async (context) => {
    const program = await programOrSkip(context, name);
    // An engine is there: `npm run test:containers` runs the compose file itself.
    if (program.kind === 'image') return context.skip();
    return { entrypoint: [], names: { [name]: [program.path] } };
  };
}

/** By the image's name without its tag. */
const PROGRAMS: Readonly<Record<string, Find>> = {
  postern: async () => ({ entrypoint: [process.execPath, POSTERN], names: NODE }),
  // The package is the same one that the tests have installed, so npx need not fetch it.
  node: async () => ({ entrypoint: [], names: { ...NODE, npx: [process.execPath, EVERYTHING] } }),
  traefik: proxy('traefik'),
  caddy: proxy('caddy'),
  nginx: proxy('nginx'),
  haproxy: proxy('haproxy'),
  'envoyproxy/envoy': proxy('envoy'),
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
