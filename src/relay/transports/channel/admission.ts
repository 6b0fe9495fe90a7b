import type { IncomingMessage } from 'node:http';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import { type Gate, NO_MESSAGE } from '../../gate/gate.ts';
import { eraOf } from '../../protocol/versions.ts';
import { NO_SUCH_SERVER, type Refusal, refusalOf } from '../../refusal.ts';
import type { Caller, Callers } from '../../trust/caller.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { TOKEN_IN_QUERY, type TransportPath } from '../streamable-http/route.ts';
import { MODERN_NOT_HERE } from './refusals.ts';

/** Who may come in, and to which server. */
export interface Admitted extends Caller {
  readonly server: string;
  readonly upstream: Upstream;
  readonly userAgent: string | undefined;
}

export interface AdmissionDeps {
  readonly callers: Callers;
  readonly gate: Gate;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

/** The way in for connections: the same checks, in the same order, as for streamable HTTP. */
export class Admission {
  readonly #deps: AdmissionDeps;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Never throws: an outage is a refusal with 503. */
  async admit(request: IncomingMessage, path: TransportPath): Promise<Admitted | Refusal> {
    try {
      return await this.#admit(request, path);
    } catch (error) {
      const outage = error instanceof DependencyUnavailable;
      this.#deps.log.error(
        { error, requestId: requestId(request) },
        outage ? 'a dependency failed' : 'a request failed',
      );
      return refusalOf(error);
    }
  }

  async #admit(request: IncomingMessage, { server, query }: TransportPath): Promise<Admitted | Refusal> {
    if (query.has('access_token')) return TOKEN_IN_QUERY;
    const caller = await this.#deps.callers.identify(request);
    if ('status' in caller) return caller;
    const upstream = this.#deps.upstreams.get(server);
    if (upstream === undefined) return NO_SUCH_SERVER;
    const era = eraOf(caller.headers.get('mcp-protocol-version'));
    if (typeof era === 'object') return era;
    // These headers may have decided what the caller may do, and no body here would be compared with them.
    if (era === 'modern') return MODERN_NOT_HERE;
    const { identity, way } = caller;
    const entered = await this.#deps.gate.enter({
      identity,
      way,
      server,
      message: NO_MESSAGE,
      requestId: () => requestId(request),
    });
    if ('status' in entered) return entered;
    return { ...caller, server, upstream, userAgent: request.headers['user-agent'] };
  }

  /** Counts and logs a refusal, as it is done for streamable HTTP. */
  refused(request: IncomingMessage, path: TransportPath | undefined, refusal: Refusal, admitted?: Admitted): void {
    const { metrics, gate, log, upstreams } = this.#deps;
    const server = path !== undefined && upstreams.has(path.server) ? path.server : undefined;
    metrics.rejected.inc({ reason: refusal.reason });
    gate.turnedAway(refusal, {
      ...(admitted === undefined ? {} : { identity: admitted.identity }),
      ...(server === undefined ? {} : { server }),
      way: admitted?.way ?? 'none',
      requestId: () => requestId(request),
    });
    if (server !== undefined) metrics.requests.inc({ server, method: admitted?.way ?? 'none', outcome: 'refused' });
    log.info(
      {
        reason: refusal.reason,
        status: refusal.status,
        transport: path?.transport,
        server,
        user: admitted?.identity.subject,
        peer: request.socket.remoteAddress,
        requestId: requestId(request),
        fix: refusal.fix,
      },
      refusal.message,
    );
  }
}
