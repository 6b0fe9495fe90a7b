import type { Outgoing } from '../../credentials/credential.ts';
import type { OutgoingHeaders } from '../../credentials/outgoing-headers.ts';
import type { Budgets, Hold } from '../../gate/budgets/budgets.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { RefusedError, refusalOf } from '../../refusal.ts';
import { RemoteCalls, type RemoteContext } from '../../replicas/remote-call.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import type { InitializedSession, LegacySession, LegacySessions } from '../legacy-sessions.ts';
import { type ClientRequest, descriptionOf } from '../mcp-server.ts';
import { ownerOf, type RequestContext } from '../upstream-request.ts';
import type { MessageFields } from './pipe.ts';
import type { PipeServer } from './pipe-server.ts';
import type { PipeServers, Sharing } from './pipe-servers.ts';
import { PipeSession, type SessionTimes } from './pipe-session.ts';
import { type RemoteSessionCall, remoteSession, serveRemote } from './remote-session.ts';

export interface PipeSessionsOptions {
  readonly sharing: Sharing;
  readonly times: SessionTimes;
  /** Milliseconds after which a session that nobody uses ends. */
  readonly unused: number;
  readonly budgets: Budgets;
  readonly outgoing: OutgoingHeaders | undefined;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** With the other replicas; undefined: there is one only. */
  readonly channel: ReplicaChannel | undefined;
}

/** Requests that may wait for other replicas, streams included. */
const REMOTE_LIMITS = { max: 10_000, perOwner: 1_000 };

/** On whose behalf a request is; of a request that another replica sends, no more is known. */
type Asking = Pick<Outgoing, 'caller' | 'elicitsUrls'>;

interface Running {
  readonly session: PipeSession;
  readonly server: PipeServer;
}

/** The sessions of clients at a server that is reached by a pipe of messages, whichever that is. */
export class PipeSessions implements LegacySessions {
  readonly #servers: PipeServers;
  readonly #options: PipeSessionsOptions;
  readonly #sessions = new Map<string, Running>();
  readonly #remote: RemoteCalls<RemoteSessionCall> | undefined;
  readonly #sweep: NodeJS.Timeout;

  constructor(servers: PipeServers, options: PipeSessionsOptions) {
    this.#servers = servers;
    this.#options = options;
    this.#remote =
      options.channel && new RemoteCalls(options.channel, (call, context) => this.#serve(call, context), REMOTE_LIMITS);
    this.#sweep = setInterval(() => this.#endUnused(), Math.max(50, options.unused / 10));
    this.#sweep.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#remote?.close();
    this.#sessions.clear();
    await this.#servers.close();
  }

  async open({ params }: ClientRequest, asking: RequestContext, signal: AbortSignal): Promise<InitializedSession> {
    const { budgets, sharing, times, now } = this.#options;
    const owner = ownerOf(asking.caller);
    const hold = this.#sessionHold(owner);
    let server: PipeServer;
    try {
      const budget = budgets.of(sharing === 'everybody' ? ownerOf(undefined) : owner);
      server = await this.#servers.for(this.#sharer(owner, asking), budget, () => this.#fields('GET', asking));
    } catch (error) {
      hold.release();
      throw error;
    }
    const session = new PipeSession(owner, budgets, hold, times, now);
    session.fields = this.#messageFields(asking);
    server.join(session);
    const running = { session, server };
    this.#sessions.set(session.id, running);
    try {
      return { id: session.id, result: await server.initialize(session, params, signal) };
    } catch (error) {
      // Whoever is refused or gets no answer must not keep a server running, nor the place of another.
      void this.#end(running);
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

  find(id: string, asking: RequestContext): LegacySession | undefined {
    const owner = ownerOf(asking.caller);
    const remote = this.#remote;
    if (this.#sessions.has(id) || remote === undefined || id === '') return this.#find(id, owner, asking);
    return remoteSession((ask, options) =>
      remote.call({ session: id, owner, ...this.#originOf(asking), ...ask }, { ...options, owner }),
    );
  }

  /** @returns undefined if the session is not here, whoever's it is */
  #serve(call: RemoteSessionCall, context: RemoteContext): Promise<Json> | undefined {
    const { session, owner, origin, elicitsUrls } = call;
    if (!this.#sessions.has(session)) return undefined;
    return serveRemote(this.#find(session, owner, { caller: origin, elicitsUrls }), call, context);
  }

  /** What the headers of its message depend on. @throws RefusedError where they may not go on */
  #originOf({ caller, elicitsUrls }: RequestContext): Pick<RemoteSessionCall, 'origin' | 'elicitsUrls'> {
    const origin = caller && this.#options.outgoing?.origin(caller);
    if (origin === undefined) return {};
    if ('status' in origin) throw new RefusedError(origin);
    return { origin, ...(elicitsUrls === undefined ? {} : { elicitsUrls }) };
  }

  #find(id: string, owner: string, asking: Asking): LegacySession | undefined {
    const running = this.#sessions.get(id);
    if (running?.session.owner !== owner) return undefined;
    const { session, server } = running;
    if (!server.sessions.has(session)) {
      this.#sessions.delete(id);
      return undefined;
    }
    session.fields = this.#messageFields(asking) ?? session.fields;
    return {
      running: session.running,
      server: {
        describe: async () => descriptionOf(server.described),
        request: (request, options) => {
          session.fields = this.#messageFields(options) ?? session.fields;
          return server.request(session, request, options);
        },
        notify: async (message) => {
          try {
            server.notify(session, message);
          } catch {
            // It does not read what it is sent, as its next request says.
          }
        },
        listen: (_filter, options) => session.listen(options),
        ping: async () => {},
        close: async () => void this.#end(running),
      },
    };
  }

  /** Who uses the same server. What it was opened with for one request must not serve another that has other headers. */
  #sharer(owner: string, { caller }: Asking): string {
    const { outgoing } = this.#options;
    return outgoing === undefined || caller === undefined ? owner : JSON.stringify([owner, outgoing.key(caller)]);
  }

  #messageFields(from: Partial<Asking>): MessageFields | undefined {
    return from.caller === undefined ? undefined : () => this.#fields('POST', from);
  }

  /** @throws RefusedError where they cannot be had: nothing is started or sent without them */
  async #fields(method: 'GET' | 'POST', { caller, elicitsUrls }: Partial<Asking>): Promise<readonly string[]> {
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
