import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import httpProxy from 'http-proxy';
import { classifyHeader, foldHeaderName, IDENTITY_HEADER_NAMES } from '../identity/headers.ts';
import { createHttpServer, drain, listen, sendJson, sendText } from '../platform/http.ts';
import type { Logger } from '../platform/log.ts';
import { fieldsOf, isForPerson } from '../platform/navigation.ts';
import { html } from '../platform/pages/html.ts';
import type { PageSite } from '../platform/pages/page.ts';
import { unreadableRequestPage } from '../platform/pages/unreadable-request.ts';
import type { ProblemPage } from '../platform/request-problem.ts';
import { onWebSocketUpgrade, upgradeResponse } from '../platform/websocket-upgrade.ts';

export interface EdgeTargets {
  readonly forwardAuthPort: number;
  readonly relayPort: number;
}

export interface Edge {
  readonly port: number;
  /** Until it is called, every request is answered 503. */
  connect(targets: EdgeTargets): void;
  /** @param grace milliseconds for open streams */
  close(grace: number): Promise<void>;
}

/** Cookies of an allow, until the answer to the same request goes out. */
const renewed = new WeakMap<IncomingMessage, readonly string[]>();

/** Milliseconds that forward-auth has to answer. */
const CHECK_TIMEOUT = 10_000;
/** Bytes: an identity of `auth.limits.maxIdentity` comes in a header and in the assertion. */
const MAX_ANSWER_HEADERS = 65_536;

/** Hop-by-hop fields (RFC 9110 §7.6.1) and those of a body, which the check does not have. */
const NOT_FOR_THE_CHECK = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Forward-auth's own addresses, also as the authorization server. Anything that could be read in two ways is checked like every other path. */
const FORWARD_AUTH_PATH =
  /^\/(?:\.well-known\/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?:\/[\w./~-]*)?|_postern\/[\w./~-]+|authorize|token|register)$/;

/**
 * The development edge. It does what Traefik's forwardAuth middleware does: asks forward-auth about each request, and
 * passes an allowed one on to the relay with the identity headers of the answer and with the proxy's shared secret.
 */
export async function startEdge(
  address: { host: string; port: number },
  proof: { secretHeader: string; secret: string },
  { site, log }: { readonly site: PageSite; readonly log: Logger },
): Promise<Edge> {
  const agent = new Agent({ keepAlive: true });
  const away = awayAnswer(site);
  const proxy = createProxy(agent, away, log);
  let targets: EdgeTargets | undefined;

  /** @returns whether the request may go on to the relay; where not, it has been answered */
  const admit = async (
    request: IncomingMessage,
    response: () => ServerResponse,
    forwarded: Readonly<Record<string, string>>,
    to: EdgeTargets,
  ): Promise<boolean> => {
    const answer = await check(request, forwarded, to.forwardAuthPort, agent);
    if (answer.statusCode !== 200) {
      passThrough(answer, response());
      return false;
    }
    answer.resume();
    Object.assign(request.headers, forwarded, { [proof.secretHeader.toLowerCase()]: proof.secret });
    for (const name of IDENTITY_HEADER_NAMES)
      request.headers[name.toLowerCase()] = answer.headers[name.toLowerCase()] ?? '';
    // What forward-auth leaves of the request's cookies, without its own; its renewed cookie goes to the browser.
    if (answer.headers.cookie !== undefined) request.headers.cookie = answer.headers.cookie;
    const cookies = answer.headers['set-cookie'];
    if (cookies !== undefined) renewed.set(request, cookies);
    return true;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse, to: EdgeTargets) => {
    removeForgeable(request, proof.secretHeader);
    const forwarded = forwardedHeaders(request);
    if (isForwardAuthPath(request.url ?? '/')) {
      Object.assign(request.headers, forwarded);
      return proxy.web(request, response, { target: { host: '127.0.0.1', port: to.forwardAuthPort } });
    }
    if (await admit(request, () => response, forwarded, to))
      proxy.web(request, response, { target: { host: '127.0.0.1', port: to.relayPort } });
  };

  /** A WebSocket is checked by its upgrade request, like any other request; after that only its ends see what it says. */
  const upgrade = async (request: IncomingMessage, socket: Socket, head: Buffer, to: EdgeTargets) => {
    removeForgeable(request, proof.secretHeader);
    if (!(await admit(request, () => upgradeResponse(request, socket), forwardedHeaders(request), to))) return;
    if (socket.destroyed) return;
    request.headers.connection = 'Upgrade';
    proxy.ws(request, socket, head, { target: { host: '127.0.0.1', port: to.relayPort } });
  };

  const problemPage = (...asked: Parameters<ProblemPage>) => unreadableRequestPage(site, ...asked);
  const limits = { maxHeaderSize: 32_768, requestTimeout: 60_000, problemPage };
  const server = createHttpServer(limits, (request, response) => {
    const named = publicAddress(request);
    if (named !== undefined) {
      const error_description = `this is ${named}, and no session or token counts at another name`;
      return sendJson(response, 307, { error: 'other_address', error_description }, { Location: named });
    }
    if (targets === undefined) return away(request, response, STARTING);
    handle(request, response, targets).catch((error: unknown) => {
      log.warn({ error }, 'forward-auth does not answer; the request is refused');
      away(request, response, NO_AUTHORIZER);
    });
  });
  const upgraded = new Set<Socket>();
  onWebSocketUpgrade(server, (request, socket, head) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    if (targets === undefined) return away(request, upgradeResponse(request, socket), STARTING);
    upgrade(request, socket, head, targets).catch((error: unknown) => {
      log.warn({ error }, 'forward-auth does not answer; the upgrade is refused');
      if (!socket.destroyed) away(request, upgradeResponse(request, socket), NO_AUTHORIZER);
    });
  });
  const port = await listen(server, address);
  return {
    port,
    connect: (to) => {
      targets = to;
    },
    async close(grace) {
      // The server waits for them and cannot cut them: they are no HTTP connections any more.
      const cut = setTimeout(() => {
        for (const socket of upgraded) socket.destroy();
      }, grace);
      await drain(server, grace);
      clearTimeout(cut);
      agent.destroy();
      proxy.close();
    },
  };
}

function isForwardAuthPath(url: string): boolean {
  const [path = ''] = url.split('?', 1);
  return FORWARD_AUTH_PATH.test(path) && !path.includes('..') && !path.includes('//');
}

/** What only the edge may say: identity in any spelling, where the request came from, and the edge's own proof. */
function removeForgeable(request: IncomingMessage, secretHeader: string): void {
  const isForgeable = (name: string) => {
    const folded = foldHeaderName(name);
    return (
      classifyHeader(name) !== 'none' ||
      folded === foldHeaderName(secretHeader) ||
      folded === 'forwarded' ||
      folded === 'x-real-ip' ||
      folded.startsWith('x-forwarded-') ||
      folded.startsWith('x-original-')
    );
  };
  for (const name of Object.keys(request.headers)) if (isForgeable(name)) delete request.headers[name];
  // A `Connection` that names a header would have a later hop remove it; nothing here needs one from the client.
  delete request.headers.connection;
  request.rawHeaders = pairs(request.rawHeaders)
    .filter(([name]) => !isForgeable(name) && name.toLowerCase() !== 'connection')
    .flat();
}

function pairs(raw: readonly string[]): Array<[string, string]> {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2] as string, raw[index * 2 + 1] as string]);
}

function forwardedHeaders(request: IncomingMessage): Record<string, string> {
  return {
    'x-forwarded-for': (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    'x-forwarded-host': request.headers.host ?? '',
    'x-forwarded-proto': 'http',
    'x-forwarded-port': String(request.socket.localPort ?? ''),
  };
}

/** @throws Error where forward-auth cannot be reached or is too slow */
function check(
  request: IncomingMessage,
  forwarded: Readonly<Record<string, string>>,
  port: number,
  agent: Agent,
): Promise<IncomingMessage> {
  const headers = pairs(request.rawHeaders).filter(([name]) => !NOT_FOR_THE_CHECK.has(name.toLowerCase()));
  for (const [name, value] of Object.entries(forwarded)) headers.push([name, value]);
  headers.push(['X-Forwarded-Method', request.method ?? 'GET'], ['X-Forwarded-Uri', request.url ?? '/']);
  headers.push(['Host', `127.0.0.1:${port}`]);
  return new Promise((resolve, reject) => {
    const question = httpRequest(
      {
        ...{ host: '127.0.0.1', port, path: '/verify/traefik', method: 'GET', headers: headers.flat(), agent },
        maxHeaderSize: MAX_ANSWER_HEADERS,
      },
      resolve,
    );
    question.setTimeout(CHECK_TIMEOUT, () => question.destroy(new Error('forward-auth is too slow')));
    question.once('error', reject);
    question.end();
  });
}

function passThrough(answer: IncomingMessage, response: ServerResponse): void {
  const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding']);
  const headers = pairs(answer.rawHeaders).filter(([name]) => !hopByHop.has(name.toLowerCase()));
  response.writeHead(answer.statusCode ?? 503, headers.flat());
  answer.pipe(response);
  answer.once('error', () => response.destroy());
}

/** What people type instead of the printed address, where neither session nor token would count. Other names are for rules to know. */
const OTHER_NAMES = /^(?:localhost|0\.0\.0\.0|\[::1?\])(?::\d+)?$/i;

/** The printed address of what was asked by another name; undefined: it is no other name. */
function publicAddress({ headers, url, socket }: IncomingMessage): string | undefined {
  if (!OTHER_NAMES.test(headers.host ?? '')) return undefined;
  return `http://127.0.0.1:${socket.localPort}${url?.startsWith('/') ? url : '/'}`;
}

/** Something behind the edge does not answer. */
interface Away {
  readonly status: 502 | 503;
  readonly error: string;
  readonly description: string;
}

const STARTING: Away = { status: 503, error: 'unavailable', description: 'starting' };
const NO_AUTHORIZER: Away = { status: 503, error: 'unavailable', description: 'the authorizer does not answer' };
const NO_RELAY: Away = { status: 502, error: 'bad_gateway', description: 'the relay does not answer' };

type AwayAnswer = (request: IncomingMessage, response: ServerResponse, away: Away) => void;

/** A page for a person, JSON for a program. */
function awayAnswer(site: PageSite): AwayAnswer {
  return ({ method, headers }, response, { status, error, description }) => {
    if (response.headersSent) return void response.destroy();
    const retry = { 'Retry-After': '1' };
    if (!isForPerson({ method, headers: fieldsOf(headers) }))
      return sendJson(response, status, { error, error_description: description }, retry);
    const say = site.say(headers['accept-language'] ?? '');
    const body = html`<p role="alert">${say('away.advice')}</p>`;
    const page = site.render({ title: say('away.title'), body, say, person: undefined }, { standalone: true });
    sendText(response, status, page.body, { ...retry, ...page.headers });
  };
}

function createProxy(agent: Agent, away: AwayAnswer, log: Logger): httpProxy {
  const proxy = httpProxy.createProxyServer({ agent });
  proxy.on('proxyReq', (outgoing, _request, response) => {
    // http-proxy notices only a client that leaves before its request is complete; a stream's client leaves later.
    response.once('close', () => {
      if (!response.writableFinished) outgoing.destroy();
    });
  });
  proxy.on('proxyRes', (answer, request) => {
    const cookies = renewed.get(request);
    if (cookies !== undefined) answer.headers['set-cookie'] = [...(answer.headers['set-cookie'] ?? []), ...cookies];
  });
  proxy.on('error', (error, request, response) => {
    if (!('headersSent' in response)) {
      log.warn({ error }, 'the relay does not take the upgrade');
      return void response.destroy();
    }
    if (response.destroyed) return;
    log.warn({ error }, 'the relay does not answer');
    away(request, response, NO_RELAY);
  });
  return proxy;
}
