import type { IncomingMessage, ServerResponse } from 'node:http';
import { ownerKey } from '../../../identity/identity.ts';
import type { RelayConfig } from '../../../platform/config/schema.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import type { Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { heldBytes } from '../../gate/budgets/held-bytes.ts';
import { chargeOf, releaseWith } from '../../gate/budgets/request-hold.ts';
import { NO_MESSAGE, type Permit } from '../../gate/gate.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import type { Admitted, Intake, RefusedRequest } from '../../intake.ts';
import type { Outcomes } from '../../outcomes.ts';
import { elicitsUrls } from '../../protocol/elicitation.ts';
import { writeJson } from '../../protocol/json.ts';
import type { MessageId } from '../../protocol/json-rpc.ts';
import { headerMismatch } from '../../protocol/mcp-headers.ts';
import { type Message, parseMessage } from '../../protocol/message.ts';
import type { Era } from '../../protocol/versions.ts';
import { errorOf, type Refusal, sendRefusal } from '../../refusal.ts';
import type { Caller } from '../../trust/caller.ts';
import type { RequestHeaders } from '../../trust/headers.ts';
import { passThrough } from '../../upstreams/passthrough.ts';
import { upstreamRequestHeaders } from '../../upstreams/request-headers.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { ConnectionTimes } from '../channel/connection.ts';
import type { OpenStreams } from '../open-streams.ts';
import { readBody } from './body.ts';
import { MODERN_POST_ONLY, matchRoute, OPTIONS_HEADERS, type Route } from './route.ts';
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
  /** As the address says. */
  server: string | undefined;
  caller: Caller | undefined;
  id: MessageId;
  /** One message is answered, after which the answer ends, streamed or not. */
  answerable: boolean;
  permit: Permit | undefined;
  /** The gate has recorded the refusal. */
  recorded: boolean;
}

export interface EndpointDeps {
  readonly intake: Intake;
  readonly seal: SessionSeal;
  readonly budgets: Budgets;
  readonly streams: OpenStreams;
  readonly metrics: RelayMetrics;
  readonly outcomes: Outcomes;
  readonly log: Logger;
  readonly times: Pick<ConnectionTimes, 'keepAlive' | 'silence'>;
  /** Of the configuration that runs now. */
  readonly limits: () => RelayConfig['limits'];
}

/** Streamable HTTP at `/servers/<name>/mcp`, of the sessions' era and of the stateless one. */
export class StreamableHttpEndpoint {
  readonly #deps: EndpointDeps;

  constructor(deps: EndpointDeps) {
    this.#deps = deps;
  }

  /** Never throws and always answers. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange: Exchange = {
      request,
      response,
      startedAt: performance.now(),
      server: undefined,
      caller: undefined,
      id: null,
      permit: undefined,
      recorded: false,
      answerable: false,
    };
    try {
      const route = matchRoute(request.method ?? '', request.url ?? '');
      if (route.kind === 'options') return void response.writeHead(204, OPTIONS_HEADERS).end();
      if (route.kind === 'refused') exchange.caller = await this.#deps.intake.visitor(request);
      const refusal = route.kind === 'refused' ? route.refusal : await this.#relay(route, exchange);
      if (refusal !== undefined) this.#refuse(exchange, refusal);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** The path of a request: headers, origin, identity, server, message, session, upstream. */
  async #relay(route: McpRoute, exchange: Exchange): Promise<Refusal | undefined> {
    const { request } = exchange;
    const { intake, seal, budgets } = this.#deps;
    exchange.server = route.server;
    const admission = intake.admit(request, route.server);
    const admitted = admission instanceof Promise ? await admission : admission;
    exchange.caller = 'refusal' in admitted ? admitted.caller : admitted;
    if ('refusal' in admitted) return admitted.refusal;

    const { headers, era, demand } = admitted;
    const owner = ownerKey(admitted.identity);
    const sealed = era === 'legacy' ? headers.get('mcp-session-id') : undefined;
    const session = sealed === undefined ? undefined : seal.open(sealed, route.server, owner);
    const opened = session !== undefined && 'upstreamId' in session ? session : undefined;
    const upstreamId = opened?.upstreamId;
    const hold = budgets.of(owner, upstreamId).take(route.method === 'GET' ? { streams: 1 } : {});
    if ('status' in hold) return hold;
    releaseWith(exchange.response, hold);
    if (typeof era === 'object') return this.#unsupported(route, exchange, headers, hold, era);
    let received: Received | undefined;
    if (route.method === 'POST') {
      const read = await this.#receive(exchange, headers, hold);
      if (read === undefined) return undefined;
      if ('status' in read) return read;
      const mismatch = headerMismatch(era, headers.get, read.message) ?? insufficientScope(demand, read.message);
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
    const stream = {
      session: session?.upstreamId,
      resumes: route.method === 'GET' && request.headers['last-event-id'] !== undefined,
    };
    const gate = intake.gateOf(admitted, route.server, () => requestId(request), stream);
    const authorized = gate.authorize(message, bytes);
    const permit = authorized instanceof Promise ? await authorized : authorized;
    if ('status' in permit) {
      exchange.recorded = received !== undefined;
      return permit;
    }
    exchange.permit = permit;
    const asked = { admitted: intake.inSession(admitted, opened?.definition), era, received, hold };
    this.#forward(exchange, route, asked, { sealed, upstreamId, owner });
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
    const body = await readBody(request, headers.get('content-type'), this.#deps.limits().maxBody, hold);
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
    { server, method }: McpRoute,
    {
      admitted: caller,
      era,
      received,
      hold,
    }: { admitted: Admitted; era: Era; received: Received | undefined; hold: Hold },
    session: { sealed: string | undefined; upstreamId: string | undefined; owner: string },
  ): void {
    const { metrics, seal, streams } = this.#deps;
    const standing = !exchange.answerable;
    // Its end may be ours: by then a proxy may have sent the next request on the same connection, which would be lost.
    if (standing) exchange.response.shouldKeepAlive = false;
    let streamClosed = () => {};
    const isRequest = received?.message.id !== undefined && received.message.method !== undefined;
    passThrough(
      caller.upstream,
      {
        method,
        era,
        headers: upstreamRequestHeaders(exchange.request.rawHeaders, session.upstreamId, received !== undefined),
        body: received?.bytes ?? null,
        asks: received?.message.method,
        caller,
        elicitsUrls: received !== undefined && elicitsUrls(received.message),
      },
      exchange.response,
      {
        expectsAnswer: method === 'GET' || isRequest,
        mayStreamEarly: isRequest && mayStream(received.message, exchange.request.headers.accept),
        holds: heldBytes(hold, 'keptBytes'),
        // The id that the client has stays the same where the server only repeats its own.
        seal: (id) =>
          id === session.upstreamId && session.sealed !== undefined
            ? session.sealed
            : seal.seal(server, id, session.owner, caller.upstream.definition),
        refuse: (refusal, asked) => {
          if (!asked) metrics.rejected.inc({ reason: refusal.reason });
          this.#deps.intake.logRefusal(exchange.request, refusal, aboutOf(exchange));
          this.#answer(exchange, refusal);
        },
        streamOpened: (end) => {
          streamClosed = streams.open({ transport: 'streamable-http', server, caller, standing }, end);
        },
        streamClosed: () => streamClosed(),
        answered: () => this.#deps.outcomes.reached(server, true),
        ended: (outcome, error) => this.#ended(exchange, server, outcome, error),
      },
      { ...this.#deps.times, stalled: this.#deps.limits().idleStream },
      exchange.permit?.guard,
    );
  }

  #ended(exchange: Exchange, server: string, outcome: Outcome, error: Error | undefined): void {
    const { outcomes, log } = this.#deps;
    const { answerable, startedAt, permit, caller } = exchange;
    const seconds = outcome === 'relayed' && answerable ? (performance.now() - startedAt) / 1000 : undefined;
    const { way = 'none' } = caller ?? {};
    permit?.ended(outcome);
    if (outcomes.report({ server, way, outcome, seconds, error }) || !log.isLevelEnabled('debug')) return;
    const about = { server, outcome, way: caller?.way, identity: caller?.identity };
    log.debug({ ...about, requestId: requestId(exchange.request) }, 'relayed');
  }

  /** Refused before any server was asked. */
  #refuse(exchange: Exchange, refusal: Refusal): void {
    this.#deps.intake.refused(exchange.request, refusal, aboutOf(exchange));
    this.#answer(exchange, refusal);
  }

  #answer({ request, response, id, caller }: Exchange, refusal: Refusal): void {
    // What is left of the body is thrown away, so that the answer is not lost in a reset.
    if (!request.readableEnded) request.resume();
    if (response.destroyed) return;
    if (!response.headersSent)
      sendRefusal(response, refusal, id, this.#deps.intake.pageOf(request, refusal, caller?.identity));
    else if (!response.writableEnded) response.end(`data: ${writeJson(errorOf(refusal, id))}\n\n`);
  }

  #fail(exchange: Exchange, error: unknown): void {
    const refusal = this.#deps.intake.failed(exchange.request, error);
    if (exchange.response.headersSent) exchange.response.destroy();
    else this.#refuse(exchange, refusal);
  }
}

/** The head of the answer to `initialize` names the session, which only the server knows. */
function mayStream({ method }: Message, accept: string | undefined): boolean {
  return method !== 'initialize' && /\btext\/event-stream\b/i.test(accept ?? '');
}

function aboutOf({ caller, server, recorded }: Exchange): RefusedRequest {
  return { ...(caller === undefined ? {} : { identity: caller.identity, way: caller.way }), server, recorded };
}
