import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type SignInProvider, startSignInProvider } from '../sign-in-provider.ts';
import { type AccessTeam, startAccessTeam } from './access-team.ts';
import { type FolderOptions, replaceIn } from './folder.ts';

const run = promisify(execFile);

/** How one folder of `deploy/` is tried, by programs or by an engine. */
export interface Trial extends FolderOptions {
  /** Words for its check script. */
  readonly check: readonly string[];
  /** Ends what `prepare` has started. */
  stop(): Promise<unknown>;
}

/** A provider of the test in the place of the cloud's, with accounts like those there. */
interface Cloud {
  readonly issuer: string;
  readonly clientId: string;
  readonly claims: (user: string) => Readonly<Record<string, unknown>>;
  /** Who may not use the server; absent: everybody of the provider may. */
  readonly outsider?: string;
}

const CLOUDS: Readonly<Record<string, Cloud>> = {
  entra: {
    issuer: 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0',
    clientId: '11111111-1111-1111-1111-111111111111',
    claims: (user) => ({
      oid: `object of ${user}`,
      preferred_username: `${user}@example.com`,
      groups: user === 'alice' ? ['22222222-2222-2222-2222-222222222222'] : [],
    }),
    outsider: 'carol',
  },
  okta: {
    issuer: 'https://example.okta.com',
    clientId: '0oa0000000000000000',
    claims: () => ({}),
    outsider: 'carol',
  },
  google: {
    issuer: 'https://accounts.google.com',
    clientId: '000000000000-example.apps.googleusercontent.com',
    claims: () => ({ hd: 'example.com', groups: undefined }),
  },
};

/** Every folder that programs of a machine alone can run as well. */
export const TRIED = [
  ...['traefik', 'envoy', 'envoy-grpc', 'caddy', 'nginx', 'haproxy'],
  ...['hyprmcp-dex', 'oauth2-proxy/forward-auth', 'oauth2-proxy/reverse-proxy'],
  ...['contextforge', 'keycloak', 'authelia', 'cloudflare-access', 'grafana'],
  ...Object.keys(CLOUDS),
];

/** Skips Keycloak, which takes a minute and Java, unless it is asked for. */
export function skipSlow(context: Mocha.Context, name: string): void {
  if (name !== 'keycloak' || process.env.POSTERN_TEST_COMPOSE === 'all') return;
  process.stderr.write('  skipped: Keycloak takes a minute to start; set POSTERN_TEST_COMPOSE=all\n');
  context.skip();
}

export function trialOf(name: string): Trial {
  const cloud = CLOUDS[name];
  if (cloud !== undefined) return inTheCloud(name, cloud);
  const plain = { check: [], stop: async () => {} };
  if (name === 'authelia')
    return { ...plain, prepare: async ({ folder }) => void (await run('sh', [`${folder}/certificate.sh`])) };
  return name === 'cloudflare-access' ? withTeam() : plain;
}

function inTheCloud(name: string, { issuer, outsider = '', ...account }: Cloud): Trial {
  let provider: SignInProvider | undefined;
  return {
    check: ['--user', 'alice', '--outsider', outsider],
    prepare: async (copy) => {
      provider = await startSignInProvider([`http://127.0.0.1:${copy.port(8080)}`], account);
      const file = `${copy.folder}/postern.yaml`;
      await replaceIn(file, `issuer: ${issuer}`, `issuer: ${provider.issuer}`);
      // The provider of the tests has no page for consent.
      if (name === 'google') await replaceIn(file, ', prompt: consent', '');
    },
    stop: async () => provider?.stop(),
  };
}

function withTeam(): Trial {
  let team: AccessTeam | undefined;
  return {
    check: [],
    // The tunnel needs an account of Cloudflare.
    without: ['cloudflared'],
    prepare: async (copy) => {
      team = await startAccessTeam();
      await team.adopt(copy);
    },
    stop: async () => team?.stop(),
  };
}
