import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Identity, ownerKey } from '../../../identity/identity.ts';
import type { Config } from '../../../platform/config/schema.ts';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import { exemplarLabels } from '../../../platform/tracing/current-span.ts';
import type { Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { chargeOf, releaseWith } from '../../gate/budgets/request-hold.ts';
import { type Gate, NO_MESSAGE, type Passage } from '../../gate/gate.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import { elicitsUrls } from '../../protocol/elicitation.ts';
import type { MessageId } from '../../protocol/json-rpc.ts';
import { headerMismatch } from '../../protocol/mcp-headers.ts';
import { type Message, parseMessage } from '../../protocol/message.ts';
import { type Era, eraOf } from '../../protocol/versions.ts';
import { causeOf, NO_SUCH_SERVER, type Refusal, refusalOf } from '../../refusal.ts';
import type { Caller, Callers } from '../../trust/caller.ts';
import type { RequestHeaders } from '../../trust/headers.ts';
import type { Way } from '../../trust/trust.ts';
import { upstreamRequestHeaders } from '../../upstreams/request-headers.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import type { OpenStreams } from '../open-streams.ts';
import { readBody } from './body.ts';
import { sendRefusal } from './json-rpc-error.ts';
import { ALL_SERVERS, MODERN_POST_ONLY, matchRoute, OPTIONS_HEADERS, type Route } from './route.ts';
import { noSession, type SessionSeal } from './sealed-session.ts';

type McpRoute = Extract<Route, { kind: 'mcp' }>;

interface Received {
  readonly bytes: Buffer;
  readonly message: Message;
}

/** One request on its way through; what is known of it grows step by step. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedAt: number;
  server: string | undefined;
  way: Way | 'none';
  identity: Identity | undefined;
  id: MessageId;
  /** One message is answered, after which the answer ends, streamed or not. */
  answerable: boolean;
  passage: Passage | undefined;
  /** The gate has recorded the refusal. */
  recorded: boolean;
}

export interface EndpointDeps {
  readonly callers: Callers;
  readonly seal: SessionSeal;
  readonly gate: Gate;
  readonly budgets: Budgets;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly streams: OpenStreams;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

/** Streamable HTTP at `/servers/<name>/mcp`, of the sessions' era and of the stateless one. */
export class StreamableHttpEndpoint {
  readonly #deps: EndpointDeps;
  readonly #bodyLimit: number;
  readonly #up = new Map<string, boolean>();

  constructor(config: Config, deps: EndpointDeps) {
    this.#deps = deps;
    this.#bodyLimit = config.relay.limits.body;
  }

  /** Never throws and always answers. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange: Exchange = {
      request,
      response,
      startedAt: performance.now(),
      server: undefined,
      way: 'none',
      identity: undefined,
      id: null,
      passage: undefined,
      recorded: false,
      answerable: false,
    };
    try {
      const route = matchRoute(request.method ?? '', request.url ?? '');
      if (route.kind === 'options') return void response.writeHead(204, OPTIONS_HEADERS).end();
      const refusal = route.kind === 'refused' ? route.refusal : await this.#relay(route, exchange);
      if (refusal !== undefined) this.#refuse(exchange, refusal);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** The path of a request: headers, origin, identity, server, message, session, upstream. */
  async #relay(route: McpRoute, exchange: Exchange): Promise<Refusal | undefined> {
    const { request } = exchange;
    const upstream = this.#deps.upstreams.get(route.server);
    if (upstream !== undefined) exchange.server = route.server;
    const asked = this.#deps.callers.identify(request);
    const caller = asked instanceof Promise ? await asked : asked;
    if ('status' in caller) return caller;
    const { headers, identity } = caller;
    exchange.identity = identity;
    exchange.way = caller.way;
    if (upstream === undefined) return NO_SUCH_SERVER;

    const era = eraOf(headers.get('mcp-protocol-version'));
    const owner = ownerKey(identity);
    const sealed = era === 'legacy' ? headers.get('mcp-session-id') : undefined;
    const session = sealed === undefined ? undefined : this.#deps.seal.open(sealed, route.server, owner);
    const upstreamId = session !== undefined && 'upstreamId' in session ? session.upstreamId : undefined;
    const hold = this.#deps.budgets.of(owner, upstreamId).take(route.method === 'GET' ? { streams: 1 } : {});
    if ('status' in hold) return hold;
    releaseWith(exchange.response, hold);
    if (typeof era === 'object') return this.#unsupported(route, exchange, headers, hold, era);
    let received: Received | undefined;
    if (route.method === 'POST') {
      const read = await this.#receive(exchange, headers, hold);
      if (read === undefined) return undefined;
      if ('status' in read) return read;
      const mismatch = headerMismatch(era, headers.get, read.message) ?? insufficientScope(caller.demand, read.message);
      if (mismatch !== undefined) return mismatch;
      const spent = hold.add(chargeOf(read.message));
      if (spent !== undefined) return spent;
      received = read;
    } else {
      if (era === 'modern') return MODERN_POST_ONLY;
      request.resume();
    }

    if (session !== undefined && 'reason' in session) return noSession(session.reason);
    const { message = NO_MESSAGE, bytes } = received ?? {};
    const entry = { identity, way: caller.way, server: route.server, message, bytes };
    const entered = this.#deps.gate.enter({ ...entry, requestId: () => requestId(request) });
    const passage = entered instanceof Promise ? await entered : entered;
    if ('status' in passage) {
      exchange.recorded = received !== undefined;
      return passage;
    }
    exchange.passage = passage;
    this.#forward(exchange, upstream, route, { caller, era, received }, { sealed, upstreamId, owner });
    return undefined;
  }

  /** The answer carries the id of its request (JSON-RPC 2.0 §5), which only the body tells. */
  async #unsupported(
    { method }: McpRoute,
    exchange: Exchange,
    headers: RequestHeaders,
    hold: Hold,
    refusal: Refusal,
  ): Promise<Refusal | undefined> {
    if (method === 'POST' && (await this.#receive(exchange, headers, hold)) === undefined) return undefined;
    return refusal;
  }

  /** @returns undefined where the client left before it had sent everything */
  async #receive(exchange: Exchange, headers: RequestHeaders, hold: Hold): Promise<Received | Refusal | undefined> {
    const { request } = exchange;
    const body = await readBody(request, headers.get('content-type'), this.#bodyLimit, hold);
    if (body.kind === 'gone') return undefined;
    if (body.kind === 'refused') return body.refusal;
    const parsed = parseMessage(body.bytes);
    if ('refusal' in parsed) {
      exchange.id = parsed.id;
      return parsed.refusal;
    }
    exchange.id = parsed.message.id ?? null;
    exchange.answerable = parsed.message.method !== 'subscriptions/listen';
    return { bytes: body.bytes, message: parsed.message };
  }

  #forward(
    exchange: Exchange,
    upstream: Upstream,
    { server, method }: McpRoute,
    { caller, era, received }: { caller: Caller; era: Era; received: Received | undefined },
    session: { sealed: string | undefined; upstreamId: string | undefined; owner: string },
  ): void {
    const { metrics, seal, streams } = this.#deps;
    let streamClosed = () => {};
    upstream.forward(
      {
        method,
        era,
        headers: upstreamRequestHeaders(exchange.request.rawHeaders, session.upstreamId, received !== undefined),
        body: received?.bytes ?? null,
        caller,
        elicitsUrls: received !== undefined && elicitsUrls(received.message),
      },
      exchange.response,
      {
        // The id that the client has stays the same where the server only repeats its own.
        seal: (id) =>
          id === session.upstreamId && session.sealed !== undefined
            ? session.sealed
            : seal.seal(server, id, session.owner),
        refuse: (refusal, asked) => {
          if (!asked) metrics.rejected.inc({ reason: refusal.reason });
          this.#answer(exchange, refusal);
        },
        streamOpened: (end) => {
          const standing = !exchange.answerable;
          streamClosed = streams.open({ transport: 'streamable-http', server, caller, standing }, end);
        },
        streamClosed: () => streamClosed(),
        answered: () => this.reached(server, true),
        ended: (outcome, error) => this.#ended(exchange, server, outcome, error),
      },
      exchange.passage?.rules,
    );
  }

  #ended(exchange: Exchange, server: string, outcome: Outcome, error: Error | undefined): void {
    const { metrics, log } = this.#deps;
    metrics.requests.inc({ server, method: exchange.way, outcome });
    exchange.passage?.ended(outcome);
    if (outcome === 'relayed' && exchange.answerable)
      metrics.requestDuration.observe({
        labels: { server },
        value: (performance.now() - exchange.startedAt) / 1000,
        exemplarLabels: exemplarLabels(),
      });
    if (outcome === 'upstream_unreachable' || outcome === 'upstream_timeout') this.reached(server, false);
    const failure = causeOf(error);
    if (failure !== undefined)
      log.warn(
        { server, outcome, error: failure },
        outcome === 'refused' ? 'the MCP server was not asked' : 'the MCP server failed',
      );
    else if (log.isLevelEnabled('debug'))
      log.debug(
        {
          server,
          outcome,
          way: exchange.way,
          user: exchange.identity?.subject,
          requestId: requestId(exchange.request),
        },
        'relayed',
      );
  }

  /** Keeps `postern_relay_upstream_up`; for the other transports too, which reach the same servers. */
  reached(server: string, up: boolean): void {
    // All servers as one are this process itself.
    if (server === ALL_SERVERS || this.#up.get(server) === up) return;
    this.#up.set(server, up);
    this.#deps.metrics.upstreamUp.set({ server }, up ? 1 : 0);
  }

  /** Refused before any server was asked. */
  #refuse(exchange: Exchange, refusal: Refusal): void {
    const { metrics } = this.#deps;
    metrics.rejected.inc({ reason: refusal.reason });
    if (!exchange.recorded) this.#deps.gate.turnedAway(refusal, this.#about(exchange));
    if (exchange.server !== undefined)
      metrics.requests.inc({ server: exchange.server, method: exchange.way, outcome: 'refused' });
    this.#answer(exchange, refusal);
  }

  #about({ identity, server, way, request }: Exchange): Parameters<Gate['turnedAway']>[1] {
    return {
      ...(identity === undefined ? {} : { identity }),
      ...(server === undefined ? {} : { server }),
      way,
      requestId: () => requestId(request),
    };
  }

  #answer(exchange: Exchange, refusal: Refusal): void {
    const { request, response, server, identity } = exchange;
    this.#deps.log.info(
      {
        reason: refusal.reason,
        status: refusal.status,
        server,
        user: identity?.subject,
        peer: request.socket.remoteAddress,
        requestId: requestId(request),
        fix: refusal.fix,
      },
      refusal.message,
    );
    // What is left of the body is thrown away, so that the answer is not lost in a reset.
    if (!request.readableEnded) request.resume();
    if (!response.headersSent && !response.destroyed) sendRefusal(response, refusal, exchange.id);
  }

  #fail(exchange: Exchange, error: unknown): void {
    const outage = error instanceof DependencyUnavailable;
    this.#deps.log.error(
      { error, requestId: requestId(exchange.request) },
      outage ? 'a dependency failed' : 'a request failed',
    );
    if (exchange.response.headersSent) return void exchange.response.destroy();
    this.#refuse(exchange, refusalOf(error));
  }
}
