// In Authelia's place: its endpoint for `forwardAuth`, by configuration.yml and users.yml, answering as Authelia documents
// ("Proxy Authorization", "Trusted Header SSO"). It has no pages, no sessions and no second factors.

import { pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { parse } from 'yaml';

interface Configuration {
  readonly server: { readonly address: string };
  readonly authentication_backend: { readonly file: { readonly path: string } };
  readonly access_control: {
    readonly default_policy: 'deny';
    readonly rules: ReadonlyArray<{
      readonly domain: string;
      readonly resources: readonly string[];
      readonly subject: readonly string[];
      readonly policy: 'one_factor';
    }>;
  };
  readonly session: { readonly cookies: ReadonlyArray<{ readonly domain: string; readonly authelia_url: string }> };
}

interface User {
  readonly displayname: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly password: string;
}

const [flag, file = ''] = process.argv.slice(2);
if (flag !== '--config') throw new Error('usage: authelia --config FILE');
for (const secret of ['AUTHELIA_SESSION_SECRET', 'AUTHELIA_STORAGE_ENCRYPTION_KEY'])
  if ((process.env[secret] ?? '').length < 20) throw new Error(`${secret} must have at least 20 characters`);
const configuration = parse(await readFile(file, 'utf8')) as Configuration;
const usersFile = join(dirname(file), basename(configuration.authentication_backend.file.path));
const { users } = parse(await readFile(usersFile, 'utf8')) as { users: Readonly<Record<string, User>> };
const { hostname, port, pathname: base } = new URL(configuration.server.address.replace(/^tcp:/, 'http:'));

type Answer = readonly [status: number, headers?: Readonly<Record<string, string>>];

/** `$pbkdf2-sha512$iterations$salt$key`, in base64 with `.` for `+` and without padding. */
function isPassword(password: string, hash: string): boolean {
  const [, , iterations, salt = '', key = ''] = hash.split('$');
  const bytes = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64');
  const expected = bytes(key);
  return timingSafeEqual(pbkdf2Sync(password, bytes(salt), Number(iterations), expected.length, 'sha512'), expected);
}

/** @returns the name; undefined for credentials that are not right; '' where there are none */
function whoAsks({ headers: { authorization } }: IncomingMessage): string | undefined {
  if (authorization === undefined) return '';
  const [, encoded] = /^Basic (\S+)$/.exec(authorization) ?? [];
  if (encoded === undefined) return undefined;
  const [, name = '', password = ''] = /^([^:]+):(.+)$/.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  const user = Object.hasOwn(users, name) ? users[name] : undefined;
  return user !== undefined && isPassword(password, user.password) ? name : undefined;
}

/** Whether a rule lets this person there. Nobody in particular: whether signing in could help. */
function mayPass(url: URL, user: User | undefined): boolean {
  return configuration.access_control.rules.some(
    ({ domain, resources, subject }) =>
      domain === url.hostname &&
      resources.some((resource) => new RegExp(resource).test(url.pathname + url.search)) &&
      (user === undefined || subject.some((who) => user.groups.some((group) => who === `group:${group}`))),
  );
}

function refuse(request: IncomingMessage, url: URL): Answer {
  if (!request.headers.accept?.includes('text/html')) return [401];
  const portal = new URL(configuration.session.cookies[0]?.authelia_url ?? '');
  portal.searchParams.set('rd', url.href);
  return [302, { Location: portal.href }];
}

function authorize(request: IncomingMessage): Answer {
  const {
    'x-forwarded-method': method,
    'x-forwarded-proto': scheme,
    'x-forwarded-host': host,
    'x-forwarded-uri': uri,
  } = request.headers;
  const address = `${scheme}://${host}${uri}`;
  // Neither is a request of a proxy, nor one for an address that it protects.
  if (method === undefined || scheme !== 'https' || !URL.canParse(address)) return [401];
  const url = new URL(address);
  if (!configuration.session.cookies.some(({ domain }) => domain === url.hostname)) return [401];
  const name = whoAsks(request);
  if (name === undefined) return [401, { 'WWW-Authenticate': 'Basic realm="Authorization Required"' }];
  const user = name === '' ? undefined : users[name];
  if (!mayPass(url, user)) return [403];
  if (user === undefined) return refuse(request, url);
  return [
    200,
    {
      'Remote-User': name,
      'Remote-Groups': user.groups.join(','),
      'Remote-Name': user.displayname,
      'Remote-Email': user.email,
    },
  ];
}

function answer(request: IncomingMessage): Answer {
  const { pathname } = new URL(request.url ?? '/', 'http://authelia');
  if (pathname === `${base}/api/health`) return [200];
  if (pathname === `${base}/api/authz/forward-auth`) return authorize(request);
  return [404];
}

const server = createServer((request, response) => {
  const [status, headers] = answer(request);
  response.writeHead(status, headers).end();
});
server.listen(Number(port), hostname);
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
