import type { IncomingMessage } from 'node:http';
import type { Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import { allowedOrigins } from '../../platform/config/allowed-origins.ts';
import type { Config } from '../../platform/config/schema.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import type { RelayMetrics } from '../../platform/metrics.ts';
import { step } from '../../platform/tracing/current-span.ts';
import type { Span, Tracing } from '../../platform/tracing/span.ts';
import type { RevokedCredentials } from '../../stores/revoked-credentials.ts';
import type { Suspensions } from '../../stores/suspensions.ts';
import type { Watcher } from '../../watch/watch.ts';
import { isForgery, type Refusal } from '../refusal.ts';
import { type ClientAddress, clientAddress } from './client-address.ts';
import type { HeaderScanner, RequestHeaders } from './headers.ts';
import type { MigrationReport } from './migration-report.ts';
import type { TokenResources } from './token-resources.ts';
import type { AuthenticationSource, Trust, TrustDecision } from './trust.ts';

/** Who is calling, and what their request's headers say. */
export interface Caller {
  readonly headers: RequestHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly identity: Identity;
  readonly way: AuthenticationSource;
  /** Unix time in milliseconds at which the credential ends, where the relay knows. */
  readonly expiresAt: number | undefined;
  /** Handle of the credential, where it can be taken back before its end. */
  readonly credential: string | undefined;
  /** What forward-auth leaves to the reader of the body to ask; undefined: nothing. */
  readonly demand: OperationDemand | undefined;
}

export interface CallersDeps {
  readonly scanner: HeaderScanner;
  readonly trust: Trust;
  /** Absent: a 401 names no metadata, because the proxy challenges. */
  readonly resources?: Pick<TokenResources, 'challenged'> | undefined;
  readonly ended: Pick<RevokedCredentials, 'has'>;
  readonly suspensions: Pick<Suspensions, 'find'>;
  readonly metrics: RelayMetrics;
  readonly watch?: Watcher | undefined;
  readonly log: Logger;
  /** Absent: nobody migrates from JWTs. */
  readonly migration?: MigrationReport | undefined;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
}

/** An assertion outlives a sign-out by its lifetime; what was signed just before it is worth nothing either. */
const CREDENTIAL_ENDED: Refusal = {
  status: 401,
  reason: 'credential_ended',
  message: 'the session, key or grant of this identity has ended: sign in again',
};

const USER_SUSPENDED: Refusal = {
  status: 403,
  reason: 'user_suspended',
  message: 'this user is suspended: ask the people who run this service',
  needs: 'a user who is not suspended',
  has: 'suspended',
  fix: '`postern suspend --list` says why and until when; `postern unsuspend` lets the user in again',
};

/** What every transport asks first, in one order: headers that read two ways, the page's origin, the identity. */
export class Callers {
  readonly #deps: CallersDeps;
  readonly #origins: ReadonlySet<string>;
  readonly #addressOf: ClientAddress;

  constructor(config: Config, deps: CallersDeps) {
    this.#deps = deps;
    this.#origins = allowedOrigins(config);
    this.#addressOf = clientAddress(config.relay.trust);
  }

  /**
   * Synchronous where nothing has to be waited for.
   *
   * @throws DependencyUnavailable where the keys that are needed cannot be had
   */
  identify(request: IncomingMessage): Caller | Refusal | Promise<Caller | Refusal> {
    return step(
      this.#deps.tracing,
      'identify',
      () => ({}),
      (span) => {
        const found = this.#identified(request);
        if (span === undefined) return found;
        return found instanceof Promise ? found.then((settled) => tell(span, settled)) : tell(span, found);
      },
    );
  }

  #identified(request: IncomingMessage): Caller | Refusal | Promise<Caller | Refusal> {
    const answer = this.#identify(request);
    if (this.#deps.watch === undefined) return answer;
    return answer instanceof Promise
      ? answer.then((settled) => this.#watched(request, settled))
      : this.#watched(request, answer);
  }

  #watched(request: IncomingMessage, answer: Caller | Refusal): Caller | Refusal {
    const { watch } = this.#deps;
    if (!('status' in answer)) watch?.allowed(answer.identity, this.#addressOf(request, answer.way));
    else if (isForgery(answer.reason)) this.#reportForgery(request, answer.reason);
    return answer;
  }

  #reportForgery({ socket }: IncomingMessage, reason: Refusal['reason']): void {
    this.#deps.watch?.observe({ kind: 'forgery', reason, address: socket.remoteAddress ?? '' });
  }

  #identify(request: IncomingMessage): Caller | Refusal | Promise<Caller | Refusal> {
    const { scanner, trust } = this.#deps;
    const headers = scanner.scan(request.rawHeaders);
    const early = headers.ambiguity ?? this.#foreignOrigin(headers.get('origin'));
    if (early !== undefined) return early;
    const verdict = trust.identify(request, headers);
    return verdict instanceof Promise
      ? verdict.then((settled) => this.#settle(settled, request, headers))
      : this.#settle(verdict, request, headers);
  }

  #settle(verdict: TrustDecision, request: IncomingMessage, headers: RequestHeaders): Caller | Refusal {
    const { resources, ended, suspensions } = this.#deps;
    if (verdict.kind === 'refused') return resources?.challenged(verdict.refusal, request) ?? verdict.refusal;
    if (verdict.credential !== undefined && ended.has(verdict.credential)) return CREDENTIAL_ENDED;
    if (suspensions.find(verdict.identity) !== undefined) return USER_SUSPENDED;
    if (verdict.spoofed) this.#reportSpoof(request);
    if (verdict.way !== 'anonymous') this.#deps.migration?.note(verdict.identity, verdict.way);
    const { rawHeaders } = request;
    const { identity, way, expiresAt, credential, demand } = verdict;
    return { headers, rawHeaders, identity, way, expiresAt, credential, demand };
  }

  /** `Origin` comes from browsers only: a foreign one is another site's page using its visitor's network. */
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
    this.#reportForgery(request, 'spoof_attempt');
    this.#deps.log.info(
      { reason: 'spoof_attempt', peer: request.socket.remoteAddress, requestId: requestId(request) },
      'unproven identity headers were ignored',
    );
  }
}

function tell(span: Span, found: Caller | Refusal): Caller | Refusal {
  span.set('status' in found ? { 'postern.reason': found.reason } : { 'postern.way': found.way });
  return found;
}
