import type { IncomingMessage } from 'node:http';
import type { Deny } from '../decision/decision.ts';
import type { ProxyAnswer } from '../decision/proxy-check.ts';
import { type CheckRequest, RequestHeaders } from '../decision/request.ts';
import type { ProxyAdapter } from './adapter.ts';
import { readForwarded } from './forwarded.ts';

/** deploy/nginx hands on so many cookies: nginx keeps one of several headers of a name only. */
const MAX_COOKIES = 4;

/**
 * Reads the request that nginx's auth_request describes in the headers of deploy/nginx, which sets every one of them, so
 * that a client's own never arrive. Call it for trusted peers only.
 */
export function parseNginx(message: IncomingMessage, hops = 1): CheckRequest | Deny {
  const headers = new RequestHeaders(message.rawHeaders);
  return readForwarded({
    proxy: 'nginx',
    method: ['X-Original-Method', headers.get('x-original-method')],
    target: ['X-Original-URI', headers.get('x-original-uri')],
    host: ['X-Original-Host', headers.get('x-original-host')],
    scheme: ['X-Original-Proto', headers.get('x-original-proto')],
    client: ['X-Original-For', headers.get('x-original-for')],
    fix: 'set it by one proxy_set_header in the location of the check, see deploy/nginx',
    hops,
    headers,
  });
}

/**
 * nginx carries 200, 401 and 403 only, makes 500 of everything else, and drops the body. So the real status, the body and
 * each cookie travel in headers of their own, which its configuration turns back.
 */
export function adaptForNginx({ status, headers, body }: ProxyAnswer): ProxyAnswer {
  const carried = [...headers];
  let cookies = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i]?.toLowerCase(), headers[i + 1] as string];
    if (name === 'set-cookie' && ++cookies <= MAX_COOKIES) carried.push(`X-Postern-Set-Cookie-${cookies}`, value);
    // An empty value, where no cookie is left, cannot be told from none there.
    if (name === 'cookie') carried.push('X-Postern-Cookie', 'replace');
    if (name === 'location') carried.push('X-Postern-Location', value);
  }
  if (status === 200) return { status, headers: carried, body };
  carried.push(
    'X-Postern-Status',
    String(status),
    'X-Postern-Body',
    body.startsWith('<') ? asciiHtml(body) : asciiJson(body),
  );
  return { status: status === 302 || status === 401 ? 401 : 403, headers: carried, body };
}

/** JSON in which a header can carry it (RFC 8259 §7). */
function asciiJson(body: string): string {
  return body.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** HTML likewise: a line ends where a space may be, everything else is a character reference. */
function asciiHtml(body: string): string {
  return body.replace(/\n/g, ' ').replace(/[^\x20-\x7e]/gu, (char) => `&#${char.codePointAt(0)};`);
}

export const NGINX: ProxyAdapter = {
  name: 'nginx',
  methodField: 'x-original-method',
  parse: parseNginx,
  adapt: adaptForNginx,
};
