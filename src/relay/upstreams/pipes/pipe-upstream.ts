import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { ownerKey } from '../../../identity/identity.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { OutgoingHeaders } from '../../credentials/outgoing-headers.ts';
import type { AnswerRules } from '../../gate/answer-filter.ts';
import { INVALID_REQUEST, NO_SESSION, UNSUPPORTED_VERSION } from '../../protocol/error-codes.ts';
import { parseJson } from '../../protocol/json.ts';
import { errorMessage, type Id, isId, type Json } from '../../protocol/json-rpc.ts';
import { eraOf } from '../../protocol/versions.ts';
import { RefusedError } from '../../refusal.ts';
import type { ReplicaTalk } from '../../replica-talk.ts';
import { answerHandler } from '../answer-handler.ts';
import { LocalResponse } from '../local-response.ts';
import type { RelayEvents, StreamTimes } from '../response-relay.ts';
import type { Upstream, UpstreamRequest } from '../upstream.ts';
import type { PipeServer } from './pipe-server.ts';
import type { PipeServers, Sharing } from './pipe-servers.ts';
import { PipeSession, type SessionTimes } from './pipe-session.ts';
import { type SessionRequest, SessionsElsewhere } from './sessions-elsewhere.ts';

export interface PipeUpstreamOptions {
  readonly sharing: Sharing;
  readonly times: SessionTimes & StreamTimes;
  /** Milliseconds after which a session that nobody uses ends. */
  readonly unused: number;
  /** Bytes that may wait, for a slow server as for a slow client. */
  readonly limit: number;
  readonly outgoing: OutgoingHeaders | undefined;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** With the other replicas; undefined: there is one only. */
  readonly talk: ReplicaTalk | undefined;
}

/** Revisions of servers behind a pipe. */
const SUPPORTED = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
/** Whose sessions are nobody's in particular: the relay's own. */
const NOBODY = '';

interface Running {
  readonly session: PipeSession;
  readonly server: PipeServer;
}

/**
 * A server that is reached by a pipe of messages, as a streamable HTTP server of the sessions' era (2025-11-25): every transport
 * that leads to such a server leads to this one too.
 */
export class PipeUpstream implements Upstream {
  readonly #servers: PipeServers;
  readonly #options: PipeUpstreamOptions;
  readonly #sessions = new Map<string, Running>();
  readonly #elsewhere: SessionsElsewhere | undefined;
  readonly #sweep: NodeJS.Timeout;

  constructor(servers: PipeServers, options: PipeUpstreamOptions) {
    this.#servers = servers;
    this.#options = options;
    this.#elsewhere =
      options.talk && new SessionsElsewhere(options.talk, (asked, handler) => this.#serve(asked, handler));
    this.#sweep = setInterval(() => this.#endUnused(), Math.max(50, options.unused / 10));
    this.#sweep.unref();
  }

  forward(request: UpstreamRequest, response: ServerResponse, events: RelayEvents, rules?: AnswerRules): void {
    this.dispatch(request, answerHandler(response, events, this.#options.times, rules));
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const response = new LocalResponse(handler, this.#options.limit);
    if (response.aborted) return;
    const owner = request.caller === undefined ? NOBODY : ownerKey(request.caller.identity);
    if (eraOf(fieldOf(request, 'mcp-protocol-version')) !== 'legacy') return void unsupported(request, response);
    const id = fieldOf(request, 'mcp-session-id');
    if (id === undefined) return void this.#outside(request, owner, response);
    const { method, body } = request;
    if (this.#sessions.has(id)) return void this.#inside(id, { method, body, owner }, response);
    if (this.#elsewhere === undefined) return void unknown(response);
    this.#elsewhere.ask({ session: id, owner, method, body: body === null ? null : body.toString() }, response);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#elsewhere?.close();
    this.#sessions.clear();
    await this.#servers.close();
  }

  /** Without a session nothing can be done but begin one. */
  #outside(request: UpstreamRequest, owner: string, response: LocalResponse): void {
    const message = messageOf(request);
    if (message?.method !== 'initialize' || !isId(message.id))
      return void response.answer(errorMessage(null, INVALID_REQUEST, 'begin with initialize'), 400);
    this.#begin(request, message, message.id, owner, response).catch((error: unknown) =>
      response.abort(error as Error),
    );
  }

  async #begin(request: UpstreamRequest, message: Json, id: Id, owner: string, response: LocalResponse) {
    const server = await this.#servers.for(owner, () => this.#fields(request));
    if (response.aborted) return this.#servers.release(server);
    const session = new PipeSession(owner, this.#options.times, this.#options.now);
    server.join(session);
    this.#sessions.set(session.id, { session, server });
    response.headers['mcp-session-id'] = session.id;
    session.await(id, response);
    // Whoever is refused or gets no answer must not keep a server running, nor the place of another.
    if (!(await server.begin(session, id, message, response.signal))) await this.#end({ session, server });
  }

  /** Asked by another replica. */
  #serve({ session, owner, method, body }: SessionRequest, handler: Dispatcher.DispatchHandler): boolean {
    if (!this.#sessions.has(session)) return false;
    const response = new LocalResponse(handler, this.#options.limit);
    this.#inside(session, { method, owner, body: body === null ? null : Buffer.from(body) }, response);
    return true;
  }

  #inside(
    id: string,
    request: Pick<UpstreamRequest, 'method' | 'body'> & { readonly owner: string },
    response: LocalResponse,
  ): void {
    const running = this.#sessions.get(id);
    if (running?.session.owner !== request.owner) return void unknown(response);
    const { session, server } = running;
    if (!server.sessions.has(session)) {
      this.#sessions.delete(id);
      return void unknown(response);
    }
    if (request.method === 'DELETE') {
      void this.#end(running);
      return void response.status(200);
    }
    if (request.method === 'GET') {
      if (!session.listen(response))
        response.answer(errorMessage(null, INVALID_REQUEST, 'the session has such a stream already'), 409);
      return;
    }
    const message = messageOf(request);
    if (message === undefined) return void response.answer(errorMessage(null, INVALID_REQUEST, 'no message'), 400);
    if (server.waiting > this.#options.limit)
      return void response.abort(new Error('the MCP server does not read what it is sent'));
    const { id: asked } = message;
    if (typeof message.method !== 'string' || !isId(asked)) {
      server.tell(session, message);
      return void response.status(202);
    }
    if (session.await(asked, response)) server.ask(session, asked, message);
    else response.answer(errorMessage(asked, INVALID_REQUEST, 'a request with this id waits for its answer'), 400);
  }

  /** @throws RefusedError, DependencyUnavailable where the credential cannot be had: nothing is started without it */
  async #fields({ caller, elicitsUrls }: UpstreamRequest): Promise<readonly string[]> {
    const { outgoing, sharing } = this.#options;
    if (outgoing === undefined) return [];
    // What proves one person must not serve another.
    const on = sharing === 'everybody' ? undefined : caller;
    const fields = await outgoing.fields({
      method: 'GET',
      caller: on,
      ...(elicitsUrls === undefined ? {} : { elicitsUrls }),
    });
    if ('status' in fields) throw new RefusedError(fields);
    return fields;
  }

  async #end({ session, server }: Running): Promise<void> {
    this.#sessions.delete(session.id);
    server.leave(session);
    await this.#servers.release(server);
  }

  #endUnused(): void {
    for (const running of [...this.#sessions.values()])
      if (!running.server.sessions.has(running.session)) this.#sessions.delete(running.session.id);
      else if (running.session.unused > this.#options.unused) void this.#end(running);
  }
}

function unknown(response: LocalResponse): void {
  response.answer(errorMessage(null, NO_SESSION, 'session not found'), 404);
}

/** The client speaks a later revision: whoever can translate knows by this answer that it must. */
function unsupported(request: UpstreamRequest, response: LocalResponse): void {
  const id = messageOf(request)?.id;
  const error = errorMessage(isId(id) ? id : null, UNSUPPORTED_VERSION, 'this server speaks earlier revisions only', {
    supported: SUPPORTED,
    requested: fieldOf(request, 'mcp-protocol-version'),
  });
  response.answer(error, 400);
}

function messageOf({ body }: Pick<UpstreamRequest, 'body'>): Json | undefined {
  if (body === null) return undefined;
  const message: unknown = parseJson(body.toString());
  return isRecord(message) ? message : undefined;
}

/** @param name in lower case */
function fieldOf({ headers }: UpstreamRequest, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === name) return headers[index + 1];
  return undefined;
}
