// In Grafana's place: who is signed in by the rules of `auth.proxy` in its grafana.ini, as its documentation has them
// ("Configure auth proxy authentication"). It has no pages, no accounts and no dashboards.

import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { BlockList } from 'node:net';

type Settings = ReadonlyMap<string, string>;

/** Keys as `section.key`. Throws for a line that is none. */
function parseIni(text: string): Settings {
  const settings = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || /^[#;]/.test(line)) continue;
    const [, name] = /^\[([\w.]+)\]$/.exec(line) ?? [];
    const [, key, value] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) section = name;
    else if (key !== undefined && value !== undefined) settings.set(`${section}.${key}`, value);
    else throw new Error(`grafana.ini: ${line}`);
  }
  return settings;
}

function header(request: IncomingMessage, name: string | undefined): string {
  const value = name === undefined ? undefined : request.headers[name.toLowerCase()];
  return typeof value === 'string' ? value : '';
}

/** @returns undefined where nobody is signed in */
function signedIn(request: IncomingMessage, settings: Settings) {
  if (settings.get('auth.proxy.enabled') !== 'true') return undefined;
  const addresses = (settings.get('auth.proxy.whitelist') ?? '').split(/[\s,]+/).filter((address) => address !== '');
  const whitelist = new BlockList();
  for (const address of addresses) whitelist.addAddress(address);
  if (addresses.length > 0 && !whitelist.check(request.socket.remoteAddress ?? '')) return undefined;
  const login = header(request, settings.get('auth.proxy.header_name'));
  if (login === '') return undefined;
  const further = Object.fromEntries(
    (settings.get('auth.proxy.headers') ?? '').split(/[\s,]+/).map((pair) => pair.split(':') as [string, string]),
  );
  return { login, email: header(request, further.Email), groups: header(request, further.Groups) };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

const settings = parseIni(await readFile(process.env.GF_PATHS_CONFIG ?? '', 'utf8'));
const base = new URL(settings.get('server.root_url') ?? '').pathname.replace(/\/$/, '');

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://grafana');
  if (pathname === `${base}/api/health`) return answer(response, 200, { database: 'ok' });
  const user = signedIn(request, settings);
  if (user === undefined) return answer(response, 401, { message: 'Unauthorized' });
  if (pathname === `${base}/api/user`) return answer(response, 200, user);
  return answer(response, 404, { message: 'Not found' });
});
server.listen(Number(settings.get('server.http_port')), settings.get('server.http_addr'));
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
