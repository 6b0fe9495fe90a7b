import type { IncomingMessage } from 'node:http';
import type { Identity } from '../../../identity/identity.ts';
import type { Config } from '../../../platform/config/schema.ts';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import type { Refusal } from '../../refusal.ts';
import type { HeaderScanner, RequestHeaders } from '../../trust/headers.ts';
import type { Trust, Way } from '../../trust/trust.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { eraOf } from '../streamable-http/era.ts';
import { TOKEN_IN_QUERY, type TransportPath } from '../streamable-http/route.ts';
import { MODERN_NOT_HERE } from './refusals.ts';

/** Who may come in, and to which server. */
export interface Admitted {
  readonly server: string;
  readonly upstream: Upstream;
  readonly identity: Identity;
  readonly way: Way;
  readonly headers: RequestHeaders;
  readonly userAgent: string | undefined;
  /** Unix time in milliseconds at which the credential ends, where the relay knows. */
  readonly expiresAt: number | undefined;
}

export interface AdmissionDeps {
  readonly scanner: HeaderScanner;
  readonly trust: Trust;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

const NOT_FOUND: Refusal = { status: 404, reason: 'not_found', message: 'there is no such MCP server' };

/** The way in for connections: the same checks, in the same order, as for streamable HTTP. */
export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #origins: ReadonlySet<string>;

  constructor(config: Config, deps: AdmissionDeps) {
    this.#deps = deps;
    this.#origins = new Set([new URL(config.publicUrl).origin, ...config.relay.allowedOrigins]);
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
      return outage
        ? { status: 503, reason: 'dependency', message: error.message, headers: { 'Retry-After': '5' } }
        : { status: 500, reason: 'internal', message: 'the relay failed; its log says why' };
    }
  }

  async #admit(request: IncomingMessage, { server, query }: TransportPath): Promise<Admitted | Refusal> {
    if (query.has('access_token')) return TOKEN_IN_QUERY;
    const headers = this.#deps.scanner.scan(request.rawHeaders);
    const early = headers.ambiguity ?? this.#foreignOrigin(headers.get('origin'));
    if (early !== undefined) return early;
    const verdict = await this.#deps.trust.identify(request, headers);
    if (verdict.kind === 'refused') return verdict.refusal;
    if (verdict.spoofed) this.#reportSpoof(request);
    const upstream = this.#deps.upstreams.get(server);
    if (upstream === undefined) return NOT_FOUND;
    const era = eraOf(headers.get('mcp-protocol-version'));
    if (typeof era === 'object') return era;
    // These headers may have decided what the caller may do, and no body here would be compared with them.
    if (era === 'modern') return MODERN_NOT_HERE;
    const { identity, way, expiresAt } = verdict;
    return { server, upstream, identity, way, headers, userAgent: request.headers['user-agent'], expiresAt };
  }

  /** Counts and logs a refusal, as it is done for streamable HTTP. */
  refused(request: IncomingMessage, path: TransportPath | undefined, refusal: Refusal, admitted?: Admitted): void {
    const { metrics, log, upstreams } = this.#deps;
    const server = path !== undefined && upstreams.has(path.server) ? path.server : undefined;
    metrics.rejected.inc({ reason: refusal.reason });
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

  /** `Origin` comes from browsers only, which let any page open a WebSocket anywhere. */
  #foreignOrigin(origin: string | undefined): Refusal | undefined {
    if (origin === undefined || this.#origins.has(origin)) return undefined;
    return {
      status: 403,
      reason: 'origin',
      message: 'requests from this Origin are not allowed',
      fix: 'add it to relay.allowedOrigins if pages from there may use the relay',
    };
  }

  #reportSpoof(request: IncomingMessage): void {
    this.#deps.metrics.rejected.inc({ reason: 'spoof_attempt' });
    this.#deps.log.info(
      { reason: 'spoof_attempt', peer: request.socket.remoteAddress, requestId: requestId(request) },
      'identity headers from an unproven peer were ignored',
    );
  }
}
