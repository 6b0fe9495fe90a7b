import type { Dispatcher } from 'undici';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import type { Origin, Outgoing } from '../../credentials/credential.ts';
import type { OutgoingHeaders } from '../../credentials/outgoing-headers.ts';
import { answerLegacy, type LegacySession, type LegacySessions } from '../../downstream/legacy-server.ts';
import type { Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { UNSUPPORTED_VERSION } from '../../protocol/error-codes.ts';
import { errorMessage, isId, type Json } from '../../protocol/json-rpc.ts';
import { eraOf, LEGACY_VERSIONS } from '../../protocol/versions.ts';
import { RefusedError, refusalOf } from '../../refusal.ts';
import { RemoteCalls } from '../../replicas/remote-call.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import { LocalResponse } from '../local-response.ts';
import { descriptionOf, type McpServer } from '../mcp-server.ts';
import { messageOf, type Upstream, type UpstreamRequest } from '../upstream.ts';
import { headerOf, ownerOf } from '../upstream-request.ts';
import type { MessageFields } from './pipe.ts';
import type { PipeServer } from './pipe-server.ts';
import type { PipeServers, Sharing } from './pipe-servers.ts';
import { PipeSession, type SessionTimes } from './pipe-session.ts';
import { type RemoteSessionRequest, sendResponse, takePiece } from './remote-session.ts';

export interface PipeUpstreamOptions {
  readonly sharing: Sharing;
  readonly times: SessionTimes;
  /** Milliseconds after which a session that nobody uses ends. */
  readonly unused: number;
  /** Bytes that may wait, for a slow server as for a slow client. */
  readonly limit: number;
  readonly budgets: Budgets;
  readonly outgoing: OutgoingHeaders | undefined;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** With the other replicas; undefined: there is one only. */
  readonly channel: ReplicaChannel | undefined;
}

/** Requests that may wait for other replicas, streams included. */
const REMOTE_LIMITS = { max: 10_000, perOwner: 1_000 };

interface FieldsOf extends Pick<Outgoing, 'elicitsUrls'> {
  readonly caller: Origin | undefined;
}

/** On whose behalf a request is. */
interface Asking extends FieldsOf {
  readonly owner: string;
}

interface Running {
  readonly session: PipeSession;
  readonly server: PipeServer;
}

/**
 * A server that is reached by a pipe of messages, as a streamable HTTP server of the sessions' era (2025-11-25): every transport
 * that leads to such a server leads to this one too.
 */
export class PipeUpstream implements Upstream, LegacySessions<Asking> {
  readonly #servers: PipeServers;
  readonly #options: PipeUpstreamOptions;
  readonly #sessions = new Map<string, Running>();
  readonly #remote: RemoteCalls<RemoteSessionRequest> | undefined;
  readonly #sweep: NodeJS.Timeout;

  constructor(servers: PipeServers, options: PipeUpstreamOptions) {
    this.#servers = servers;
    this.#options = options;
    this.#remote =
      options.channel &&
      new RemoteCalls(
        options.channel,
        (asked, context) =>
          this.#sessions.has(asked.session)
            ? sendResponse(context, (handler) => this.#serve(asked, handler))
            : undefined,
        REMOTE_LIMITS,
      );
    this.#sweep = setInterval(() => this.#endUnused(), Math.max(50, options.unused / 10));
    this.#sweep.unref();
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const owner = ownerOf(request.caller);
    const response = new LocalResponse(handler, this.#options.limit, this.#options.budgets.of(owner));
    if (response.aborted) return;
    if (eraOf(headerOf(request.headers, 'mcp-protocol-version')) !== 'legacy')
      return void unsupported(request, response);
    const id = headerOf(request.headers, 'mcp-session-id');
    if (id === undefined || this.#sessions.has(id) || this.#remote === undefined)
      return void this.#answer(id, { ...request, owner }, response);
    void this.#askReplicas(this.#remote, id, request, owner, response);
  }

  #answer(
    sessionId: string | undefined,
    { method: verb, body, message, ...context }: Asking & Pick<UpstreamRequest, 'method' | 'body' | 'message'>,
    response: LocalResponse,
  ): void {
    const fail = (error: unknown) => response.abort(error as Error);
    answerLegacy({ verb, sessionId, message: messageOf({ body, message }), context }, this, response, () => {}).catch(
      fail,
    );
  }

  /** A session lives where its program or connection is: the request is served there. Never rejects. */
  async #askReplicas(
    remote: RemoteCalls<RemoteSessionRequest>,
    session: string,
    request: UpstreamRequest,
    owner: string,
    response: LocalResponse,
  ): Promise<void> {
    try {
      const called = await remote.call(this.#remoteRequest(session, request, owner), {
        ...{ owner, signal: response.signal },
        onMessage: (piece) => takePiece(piece, response),
      });
      if (called.kind === 'not_found') return this.#answer(session, { ...request, owner }, response);
      if (called.kind === 'busy') throw new RefusedError(refusalOf(new DependencyUnavailable('the other replicas')));
      if (called.kind === 'lost') throw new Error('the replica that held the session has gone');
      if (typeof called.result.failed === 'string') throw new Error(called.result.failed);
      response.finish();
    } catch (error) {
      response.abort(error as Error);
    }
  }

  /** @throws RefusedError where its headers may not go on */
  #remoteRequest(session: string, request: UpstreamRequest, owner: string): RemoteSessionRequest {
    const { method, body, caller, elicitsUrls } = request;
    const asked = { session, owner, method, body: body === null ? null : body.toString() };
    const origin = caller && this.#options.outgoing?.origin(caller);
    if (origin === undefined) return asked;
    if ('status' in origin) throw new RefusedError(origin);
    return { ...asked, origin, ...(elicitsUrls === undefined ? {} : { elicitsUrls }) };
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#remote?.close();
    this.#sessions.clear();
    await this.#servers.close();
  }

  async open(params: Json, asking: Asking, signal: AbortSignal): Promise<{ id: string; result: Json }> {
    const { budgets, sharing, times, now } = this.#options;
    const { owner } = asking;
    const hold = this.#sessionHold(owner);
    let server: PipeServer;
    try {
      const budget = budgets.of(sharing === 'everybody' ? ownerOf(undefined) : owner);
      server = await this.#servers.for(this.#sharer(asking), budget, () => this.#fields('GET', asking));
    } catch (error) {
      hold.release();
      throw error;
    }
    const session = new PipeSession(owner, budgets, hold, times, now);
    session.fields = this.#messageFields(asking);
    server.join(session);
    this.#sessions.set(session.id, { session, server });
    try {
      return { id: session.id, result: await server.initialize(session, params, signal) };
    } catch (error) {
      // Whoever is refused or gets no answer must not keep a server running, nor the place of another.
      void this.#end({ session, server });
      throw error;
    }
  }

  /** Where an identity has too many, the one that it has used least lately ends. @throws RefusedError where all are in use */
  #sessionHold(owner: string): Hold {
    const identity = this.#options.budgets.of(owner);
    let hold = identity.take({ sessions: 1 });
    if ('status' in hold) {
      const idle = [...this.#sessions.values()].filter(({ session }) => session.owner === owner && session.unused > 0);
      const oldest = idle.sort((a, b) => b.session.unused - a.session.unused)[0];
      if (oldest !== undefined) {
        void this.#end(oldest);
        hold = identity.take({ sessions: 1 });
      }
    }
    if ('status' in hold) throw new RefusedError(hold);
    return hold;
  }

  /** Asked by another replica. */
  #serve(
    { session, owner, method, body, origin, elicitsUrls }: RemoteSessionRequest,
    handler: Dispatcher.DispatchHandler,
  ): void {
    const response = new LocalResponse(handler, this.#options.limit, this.#options.budgets.of(owner));
    const message = body === null ? null : Buffer.from(body);
    this.#answer(session, { method, owner, body: message, caller: origin, elicitsUrls }, response);
  }

  find(id: string, asking: Asking): LegacySession | undefined {
    const running = this.#sessions.get(id);
    if (running?.session.owner !== asking.owner) return undefined;
    const { session, server } = running;
    if (!server.sessions.has(session)) {
      this.#sessions.delete(id);
      return undefined;
    }
    session.fields = this.#messageFields(asking) ?? session.fields;
    return { running: session.running, server: sessionServer(session, server, () => void this.#end(running)) };
  }

  /** Who uses the same server. What it was opened with for one request must not serve another that has other headers. */
  #sharer({ caller, owner }: Asking): string {
    const { outgoing } = this.#options;
    return outgoing === undefined || caller === undefined ? owner : JSON.stringify([owner, outgoing.key(caller)]);
  }

  #messageFields(from: FieldsOf): MessageFields | undefined {
    return from.caller === undefined ? undefined : () => this.#fields('POST', from);
  }

  /** @throws RefusedError where they cannot be had: nothing is started or sent without them */
  async #fields(method: 'GET' | 'POST', { caller, elicitsUrls }: FieldsOf): Promise<readonly string[]> {
    const { outgoing, sharing } = this.#options;
    if (outgoing === undefined) return [];
    // What proves one person must not serve another.
    const on = sharing === 'everybody' ? undefined : caller;
    try {
      const fields = await outgoing.fields({ method, caller: on, elicitsUrls });
      if ('status' in fields) throw new RefusedError(fields);
      return fields;
    } catch (error) {
      throw error instanceof RefusedError ? error : new RefusedError(refusalOf(error), error);
    }
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

/** The client speaks a later revision: whoever can translate knows by this answer that it must. */
function unsupported(request: UpstreamRequest, response: LocalResponse): void {
  const id = messageOf(request).id;
  const error = errorMessage(isId(id) ? id : null, UNSUPPORTED_VERSION, 'this server speaks earlier revisions only', {
    supported: LEGACY_VERSIONS,
    requested: headerOf(request.headers, 'mcp-protocol-version'),
  });
  response.answer(error, 400);
}

/** One session as the server that it is to its client. */
function sessionServer(session: PipeSession, server: PipeServer, end: () => void): McpServer {
  return {
    describe: async () => descriptionOf(server.described),
    request: (request, options) => server.request(session, request, options),
    notify: async (message) => server.notify(session, message),
    listen: (_filter, options) => session.listen(options),
    ping: async () => {},
    close: async () => end(),
  };
}
