import type { IncomingMessage } from 'node:http';
import type { Identity } from '../identity/identity.ts';
import { CountedWarning } from '../platform/counted-warning.ts';
import { DependencyUnavailable } from '../platform/errors.ts';
import { failureText } from '../platform/failure-reason.ts';
import { requestId } from '../platform/http.ts';
import type { Logger } from '../platform/log.ts';
import type { RelayMetrics } from '../platform/metrics.ts';
import { fieldsOf, isForPerson, isNavigation } from '../platform/navigation.ts';
import type { AuthorizationRequest, Gate, Permit } from './gate/gate.ts';
import type { ResponseGuard } from './gate/response-guard.ts';
import type { Malformed } from './protocol/malformed.ts';
import type { Message } from './protocol/message.ts';
import { type Era, eraOf } from './protocol/versions.ts';
import { causeFields, NO_SUCH_SERVER, NOT_FOR_BROWSERS, type Refusal, type RefusalPage, refusalOf } from './refusal.ts';
import type { ServerSet } from './servers/server-set.ts';
import type { Caller, Callers } from './trust/caller.ts';
import type { Upstream } from './upstreams/upstream.ts';

/** A request whose caller, server and revision are known. No message of it is authorized yet. */
export interface Admitted extends Caller {
  readonly server: string;
  readonly upstream: Upstream;
  /** As `MCP-Protocol-Version` says, or why it cannot be read. */
  readonly era: Era | Malformed;
  readonly userAgent: string | undefined;
}

/** What is known of a request that is refused. */
export interface RefusedRequest extends Partial<Pick<Caller, 'identity' | 'way'>> {
  /** As the address says. */
  readonly server?: string | undefined;
  readonly transport?: string | undefined;
  /** The gate has recorded it. */
  readonly recorded?: boolean;
}

/** The gate before one server, for one caller. */
export interface ServerGate {
  /**
   * @param bytes as the server will get the message; absent: as it is parsed
   * @throws DependencyUnavailable
   */
  authorize(message: Message, bytes?: Buffer): Permit | Refusal | Promise<Permit | Refusal>;
  /** A message was refused before it came to the gate. */
  recordRefusal(refusal: Refusal): void;
  /** For what the server says unasked; undefined: it passes as it comes. */
  listening(): ResponseGuard | undefined;
}

export interface IntakeDeps {
  readonly callers: Pick<Callers, 'identify'>;
  readonly gate: Gate;
  readonly servers: Pick<ServerSet, 'get' | 'has'>;
  readonly refusalPage: RefusalPage;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

/** The way into the relay for every transport: headers, identity, server and revision, then the gate for each message. */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #away: CountedWarning;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.#away = new CountedWarning(deps.log, 'a dependency failed');
  }

  /**
   * Synchronous if nothing has to be waited for.
   *
   * @throws DependencyUnavailable
   */
  admit(request: IncomingMessage, server: string): Admitted | Refused | Promise<Admitted | Refused> {
    const caller = this.#deps.callers.identify(request);
    return caller instanceof Promise
      ? caller.then((settled) => this.#atServer(request, settled, server))
      : this.#atServer(request, caller, server);
  }

  #atServer(request: IncomingMessage, caller: Caller | Refusal, server: string): Admitted | Refused {
    if ('status' in caller) return { refusal: caller };
    const upstream = this.#deps.servers.get(server);
    if (upstream === undefined) return { refusal: NO_SUCH_SERVER, caller };
    const { method, headers } = request;
    if (isNavigation({ method, headers: fieldsOf(headers) })) {
      // Nobody is told how to add a server that is not for them.
      const denied = this.#deps.gate.denialAt(caller.identity, server);
      return { refusal: denied ?? NOT_FOR_BROWSERS, caller };
    }
    const era = eraOf(caller.headers.get('mcp-protocol-version'));
    const { headers: scanned, rawHeaders, identity, way, expiresAt, credential, demand } = caller;
    const userAgent = headers['user-agent'];
    // Each in one literal: an object that is copied and grows costs several times as much.
    return {
      headers: scanned,
      rawHeaders,
      identity,
      way,
      expiresAt,
      credential,
      demand,
      server,
      upstream,
      era,
      userAgent,
    };
  }

  /** Who opened a window at an address that is refused to everybody. Undefined: a program asks, or nobody is known. Never throws. */
  async visitor(request: IncomingMessage): Promise<Caller | undefined> {
    const { method, headers } = request;
    if (!isForPerson({ method, headers: fieldsOf(headers) })) return undefined;
    try {
      const caller = await this.#deps.callers.identify(request);
      return 'status' in caller ? undefined : caller;
    } catch {
      // A page without a name is better than none.
      return undefined;
    }
  }

  /** The server that a session began with, which another configuration may have replaced since. */
  inSession(admitted: Admitted, definition: string | undefined): Admitted {
    if (definition === undefined || definition === admitted.upstream.definition) return admitted;
    return { ...admitted, upstream: this.#deps.servers.get(admitted.server, definition) ?? admitted.upstream };
  }

  /**
   * @param id of the HTTP request that a message came by, or what stands for it
   * @param stream what is known of the stream that the server answers on
   */
  gateOf(
    { identity, way }: Pick<Caller, 'identity' | 'way'>,
    server: string,
    id: () => string,
    stream: Pick<AuthorizationRequest, 'session' | 'resumes'> = {},
  ): ServerGate {
    const { gate } = this.#deps;
    const { session, resumes } = stream;
    return {
      authorize: (message, bytes) =>
        gate.authorize({ identity, way, server, requestId: id, session, resumes, message, bytes }),
      recordRefusal: (refusal) => gate.recordRefusal(refusal, { identity, way, server, requestId: id }),
      listening: () => gate.listening(identity, server),
    };
  }

  /** Counts, records and logs a request that ends here. */
  refused(request: IncomingMessage, refusal: Refusal, about: RefusedRequest): void {
    const { metrics, gate } = this.#deps;
    const { identity, way = 'none' } = about;
    const server = this.#known(about.server);
    metrics.rejected.inc({ reason: refusal.reason });
    if (about.recorded !== true)
      gate.recordRefusal(refusal, {
        ...(identity === undefined ? {} : { identity }),
        ...(server === undefined ? {} : { server }),
        way,
        requestId: () => requestId(request),
      });
    if (server !== undefined) metrics.requests.inc({ server, method: way, outcome: 'refused' });
    this.logRefusal(request, refusal, about);
  }

  /** Of a request that a server was asked for, and that is counted as such. */
  logRefusal(request: IncomingMessage, refusal: Refusal, about: RefusedRequest): void {
    this.#deps.log.info(
      {
        reason: refusal.reason,
        status: refusal.status,
        transport: about.transport,
        server: this.#known(about.server),
        identity: about.identity,
        peer: request.socket.remoteAddress,
        requestId: requestId(request),
        ...causeFields(refusal),
      },
      refusal.message,
    );
  }

  /** What to answer if something failed that is not the caller's fault. */
  failed(request: IncomingMessage, error: unknown): Refusal {
    const id = requestId(request);
    if (error instanceof DependencyUnavailable) this.#away.warn({ error: failureText(error), requestId: id });
    else this.#deps.log.error({ error, requestId: id }, 'a request failed');
    return refusalOf(error);
  }

  /** What a person gets instead of the JSON of a refusal; undefined: a program asked. */
  pageOf(request: IncomingMessage, refusal: Refusal, identity: Identity | undefined): ReturnType<RefusalPage> {
    return this.#deps.refusalPage(request, refusal, identity);
  }

  /** An invented name must not become a label. */
  #known(server: string | undefined): string | undefined {
    return server !== undefined && this.#deps.servers.has(server) ? server : undefined;
  }
}

/** Why a request was not admitted, and whose it was as far as that is known. */
export interface Refused {
  readonly refusal: Refusal;
  readonly caller?: Caller | undefined;
}
