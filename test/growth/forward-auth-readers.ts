import { commonNamesOf } from '../../src/forward-auth/authenticators/certificate-names.ts';
import { parseJws } from '../../src/forward-auth/authenticators/jws.ts';
import { parseXfcc } from '../../src/forward-auth/authenticators/xfcc.ts';
import { hostGlob, pathGlob } from '../../src/forward-auth/decision/globs.ts';
import { readOperation } from '../../src/forward-auth/decision/mcp-operation.ts';
import { type CheckRequest, RequestHeaders } from '../../src/forward-auth/decision/request.ts';
import { canonicalResource, Resources } from '../../src/forward-auth/decision/resources.ts';
import { canonicalHost, parseTarget } from '../../src/forward-auth/decision/target.ts';
import { shortAgent } from '../../src/forward-auth/login/pages.ts';
import { ReturnUrls } from '../../src/forward-auth/login/return-url.ts';
import { readAccountId } from '../../src/forward-auth/mcp-authorization/broker/account.ts';
import { redirectProblem } from '../../src/forward-auth/mcp-authorization/broker/redirect-uris.ts';
import { readForwarded } from '../../src/forward-auth/proxies/forwarded.ts';
import { SessionCookie } from '../../src/forward-auth/sessions/cookie.ts';
import { fromHeaders } from '../../src/identity/headers.ts';
import { parseConfig } from '../../src/platform/config/load.ts';
import type { GrowthRow } from './growth.ts';
import { FIELD_TEXTS, repeated } from './texts.ts';

const config = parseConfig({});
const path = pathGlob('/a*a*b/*c*/**');
const host = hostGlob('*.*.example.org');
const cookie = new SessionCookie(config.auth.sessions);
const name = config.auth.sessions.cookie;
const urls = new ReturnUrls(config);
const resources = new Resources('https://mcp.example.org', ['files']);
const TARGETS = Object.fromEntries(
  Object.entries(FIELD_TEXTS).map(([words, make]) => [words, (size: number) => `/a${make(size)}`]),
);

/** Everything in forward-auth that reads what clients, proxies and providers wrote. A new reader gets a row. */
export const FORWARD_AUTH_READERS: readonly GrowthRow[] = [
  {
    reader: 'request target',
    inputs: { ...FIELD_TEXTS, ...TARGETS, segments: repeated('/a'), query: repeated('a=b&', '/?') },
    read: parseTarget,
  },
  {
    reader: 'host',
    inputs: { ...FIELD_TEXTS, labels: repeated('a.'), hyphens: repeated('-', 'a'), address: repeated(':', '[') },
    read: (text) => canonicalHost(text, 'https'),
  },
  { reader: 'globs over paths', inputs: { ...TARGETS, segments: repeated('/a', '/aab') }, read: path },
  {
    reader: 'globs over hosts',
    inputs: { ...FIELD_TEXTS, labels: repeated('a.') },
    read: (text) => host(text, 'https'),
  },
  {
    reader: 'described request',
    inputs: { ...FIELD_TEXTS, ...TARGETS, 'commas and spaces': repeated(', ', '/a') },
    read: (text) =>
      readForwarded({
        proxy: 'traefik',
        method: ['method', 'GET'],
        target: ['target', text],
        host: ['host', 'a.example.org'],
        scheme: ['scheme', 'https'],
        client: ['client', text],
        hops: 3,
        fix: '',
        headers: new RequestHeaders([]),
      }),
  },
  {
    reader: 'Mcp-Name',
    inputs: { ...FIELD_TEXTS, base64: repeated('A', '=?base64?'), whole: repeated('QUFB', '=?base64?', '?=') },
    read: (text) =>
      readOperation({
        method: 'POST',
        path: '/',
        headers: new RequestHeaders([
          'mcp-protocol-version',
          '2026-07-28',
          'mcp-method',
          'tools/call',
          'mcp-name',
          text,
        ]),
      } as unknown as CheckRequest),
  },
  {
    reader: 'session cookie',
    inputs: {
      ...FIELD_TEXTS,
      'many of ours': repeated(`${name}=a; `),
      'ours without an end': repeated(`${name}=`),
      'spaces before ours': repeated(' ', ';', `${name}=a`),
      'many others': repeated('a=b; '),
    },
    read: (text) => [cookie.read(text), cookie.readAll(text), cookie.stripped(text)],
  },
  {
    reader: 'X-Forwarded-Client-Cert',
    inputs: {
      ...FIELD_TEXTS,
      pairs: repeated('uri=a;'),
      elements: repeated('by=a,'),
      'quoted escapes': repeated('\\"', 'subject="'),
      'one long value': repeated('a', 'cert='),
    },
    read: parseXfcc,
  },
  {
    reader: 'subject of a certificate',
    inputs: {
      ...FIELD_TEXTS,
      names: repeated('CN=a,'),
      'escaped bytes': repeated('\\41', 'CN='),
      wide: repeated('é', 'CN='),
    },
    read: commonNamesOf,
  },
  {
    reader: 'signed token',
    inputs: { ...FIELD_TEXTS, parts: repeated('a.'), 'one long part': repeated('A', 'A.', '.A') },
    read: parseJws,
  },
  {
    reader: 'identity headers',
    inputs: { ...FIELD_TEXTS, groups: repeated('a%2C,') },
    read: (text) => fromHeaders(() => text),
  },
  {
    reader: 'browser on a page',
    inputs: { ...FIELD_TEXTS, parts: repeated('(a; '), names: repeated('Chrome/') },
    read: shortAgent,
  },
  {
    reader: 'address to return to',
    inputs: { ...FIELD_TEXTS, ...TARGETS },
    read: (text) => urls.accept(text),
  },
  {
    reader: 'resource of a token',
    inputs: { ...FIELD_TEXTS, path: repeated('/.a', 'https://a'), query: repeated('?', 'https://a') },
    read: canonicalResource,
  },
  {
    reader: 'path of a resource',
    inputs: { ...TARGETS, servers: repeated('a-', '/servers/', '/mcp') },
    read: (text) => {
      const place = { scheme: 'https', host: 'mcp.example.com', path: text } as const;
      return [resources.of(place), resources.describedAt(text), resources.isMcpEndpoint(place)];
    },
  },
  {
    reader: 'redirect address of a client',
    inputs: { ...FIELD_TEXTS, path: repeated('/', 'https://a'), own: repeated('a.', '', ':/x') },
    read: (text) => redirectProblem(text, config.auth.broker.registration),
  },
  { reader: 'account', inputs: { ...FIELD_TEXTS, bars: repeated('a|') }, read: readAccountId },
];
