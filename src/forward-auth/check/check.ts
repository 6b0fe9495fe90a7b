import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditEntry } from '../../platform/audit/audit-entry.ts';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import { CountedWarning } from '../../platform/counted-warning.ts';
import { Overloaded, PosternError } from '../../platform/errors.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import type { WindowRequest } from '../../platform/navigation.ts';
import type { Trusted } from '../../platform/trusted-peers.ts';
import type { Watcher } from '../../watch/watch.ts';
import type { SignedAnswers } from '../assertions/signed-answers.ts';
import type { Authenticate } from '../decision/authentication.ts';
import { decide, type Policy } from '../decision/decide.ts';
import { type Allow, type Decision, type Deny, isDenial, UNTRUSTED, type Unavailable } from '../decision/decision.ts';
import type { CheckResult, ProxyCheck, RunCheck } from '../decision/proxy-check.ts';
import { refusalCause } from '../decision/refusal-fix.ts';
import { type CheckRequest, DUPLICATED, RequestHeaders } from '../decision/request.ts';
import type { ProxyAdapter } from '../proxies/adapter.ts';
import { renderRefusal, withCookies } from '../proxies/render.ts';
import { decisionEntry } from './decision-entry.ts';
import type { DecisionMeter } from './decision-meter.ts';
import { observeDecision } from './decision-watch.ts';
import type { RefusalPage } from './refusal-page.ts';

export interface CheckDependencies {
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  readonly answers: SignedAnswers;
  readonly meter: DecisionMeter;
  readonly audit?: AuditLog | undefined;
  /** Told of each denial. */
  readonly onDenial?: ((entry: AuditEntry) => void) | undefined;
  readonly watch?: Watcher | undefined;
  /** Refusals for people in a browser; absent: all get them as programs do. */
  readonly refusalPage?: RefusalPage;
  readonly log: Logger;
}

/** Characters. */
const MAX_LOGGED_PATH = 512;

/** decide → render, whichever way a proxy asks. It never throws: whatever goes wrong, only an explicit allow is a 2xx. */
export function createCheck(deps: CheckDependencies): RunCheck {
  const { policy, authenticate, answers, meter, audit, onDenial, watch, refusalPage, log } = deps;
  const overloaded = new CountedWarning(log, 'too much at once: checks of unknown credentials are refused');
  const away = new CountedWarning(log, 'checks are refused, because a dependency does not answer');
  const conclude = (
    check: ProxyCheck,
    request: CheckRequest | undefined,
    decision: Decision,
  ): CheckResult | Promise<CheckResult> => {
    const { proxy, start } = check;
    const answer =
      decision.kind === 'allow'
        ? {
            status: 200,
            headers: withCookies(
              answers.headersFor(decision.identity, allowed(request), decision),
              check.dropsUnnamedCookie === true ? namingCookie(decision, allowed(request)) : decision,
            ),
            body: '',
          }
        : renderRefusal(decision, check.requestId());
    const elapsed = performance.now() - start;
    meter.count(proxy, decision, elapsed);
    // A flood that is refused unseen must not become one of records.
    const recorded = decision !== UNRECORDED && decision !== OVERLOADED;
    const audited = audit !== undefined && recorded && (decision.kind !== 'allow' || audit.sampled());
    const denied = onDenial !== undefined && recorded && isDenial(decision);
    if (audited || denied) {
      const server = request && policy.resources.of(request).server;
      const entry = decisionEntry(check, request, decision, { server, durationMs: elapsed });
      if (audited) audit.record(entry);
      if (denied) onDenial(entry);
    }
    if (watch !== undefined && request !== undefined) observeDecision(watch, request, decision);
    if (decision === OVERLOADED) overloaded.warn({ proxy });
    else record(log, check, request, decision);
    if (refusalPage === undefined || decision.kind === 'allow' || decision.kind === 'redirect')
      return { decision, answer };
    const page = refusalPage(request ?? check.asker(), decision, answer, check.requestId());
    if (page === undefined) return { decision, answer };
    return page.then(
      (shown) => ({ decision, answer: shown }),
      (error: unknown) => {
        log.error({ error, requestId: check.requestId() }, 'a refusal could not be shown as a page');
        return { decision, answer };
      },
    );
  };
  const failed = (
    check: ProxyCheck,
    request: CheckRequest | undefined,
    error: unknown,
  ): CheckResult | Promise<CheckResult> => {
    const decision = unavailable(error);
    if (decision.reason === 'internal_error') log.error({ error, proxy: check.proxy }, 'a check failed');
    else if (decision !== OVERLOADED) away.warn({ error: wordsOf(error), proxy: check.proxy });
    try {
      return conclude(check, request, decision);
    } catch (again) {
      // Whatever counts and records may fail a second time, and nobody but the process would be left to catch it.
      log.error({ error: again, proxy: check.proxy }, 'a failed check could not be recorded');
      return { decision, answer: renderRefusal(decision, randomUUID()) };
    }
  };
  return (check) => {
    if (audit?.accepting === false) return conclude(check, undefined, UNRECORDED);
    let request: CheckRequest | undefined;
    try {
      const read = check.read();
      if ('kind' in read) return conclude(check, undefined, read);
      request = read;
      const decision = decide(read, policy, authenticate);
      if (!(decision instanceof Promise)) return conclude(check, read, decision);
      return decision.then((settled) => conclude(check, read, settled)).catch((error) => failed(check, read, error));
    } catch (error) {
      return failed(check, request, error);
    }
  };
}

/** Who may ask, and how many proxies stand before the one that does. */
export interface Peers {
  readonly trusted: Trusted;
  readonly trustedHops: number;
  readonly log: Logger;
}

/** A check endpoint of a proxy that asks by HTTP: parse → check → answer. */
export function createCheckEndpoint(
  { name, methodField, dropsUnnamedCookie = false, parse, adapt = (answer) => answer }: ProxyAdapter,
  { trusted, trustedHops }: Peers,
  runCheck: RunCheck,
): (message: IncomingMessage, response: ServerResponse) => Promise<void> | undefined {
  const send = (response: ServerResponse, { answer }: CheckResult) => {
    const { status, headers, body } = adapt(answer);
    response.writeHead(status, headers as string[]);
    response.end(body);
  };
  /** A class, because a closure for each of its methods would be made for each request. */
  class HttpCheck implements ProxyCheck {
    readonly proxy = name;
    readonly dropsUnnamedCookie = dropsUnnamedCookie;
    readonly start = performance.now();
    readonly #message: IncomingMessage;
    #id: string | undefined;

    constructor(message: IncomingMessage) {
      this.#message = message;
    }

    read(): CheckRequest | Deny {
      return trusted.hasPeer(this.#message.socket) ? parse(this.#message, trustedHops) : UNTRUSTED;
    }

    asker(): WindowRequest {
      const { method, rawHeaders } = this.#message;
      const headers = new RequestHeaders(rawHeaders);
      const named = methodField === undefined ? method : headers.get(methodField);
      return { method: typeof named === 'string' ? named : undefined, headers };
    }

    requestId(): string {
      this.#id ??= requestId(this.#message);
      return this.#id;
    }

    peer(): string {
      return this.#message.socket.remoteAddress ?? '';
    }
  }
  return (message, response) => {
    const result = runCheck(new HttpCheck(message));
    if (result instanceof Promise) return result.then((settled) => send(response, settled));
    send(response, result);
    return undefined;
  };
}

/** Where nothing of ours is in the `Cookie`, all of it goes on. */
function namingCookie(decision: Allow, { headers }: CheckRequest): Allow {
  if (decision.upstreamCookie !== undefined) return decision;
  const cookie = headers.get('cookie');
  if (cookie === undefined) return decision;
  // Of several an application would read other ones than we did.
  return { ...decision, upstreamCookie: cookie === DUPLICATED ? '' : cookie };
}

function allowed(request: CheckRequest | undefined): CheckRequest {
  if (request === undefined) throw new TypeError('an allow without a request');
  return request;
}

const UNRECORDED: Unavailable = {
  kind: 'unavailable',
  reason: 'dependency',
  description: 'what is done cannot be recorded; try again shortly',
};

const OVERLOADED: Unavailable = {
  kind: 'unavailable',
  reason: 'overloaded',
  description: new Overloaded().message,
};

/** Without the stack, which is the same each time. */
function wordsOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function unavailable(error: unknown): Unavailable {
  if (error instanceof Overloaded) return OVERLOADED;
  const known = error instanceof PosternError && error.status === 503;
  return {
    kind: 'unavailable',
    reason: known ? 'dependency' : 'internal_error',
    description: known && error.expose ? error.message : 'the check failed; try again shortly',
  };
}

/** Never a header, never a query: either can hold a credential. */
function record(log: Logger, check: ProxyCheck, request: CheckRequest | undefined, decision: Decision): void {
  const level = decision.kind === 'allow' ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  log[level](
    {
      requestId: check.requestId(),
      proxy: check.proxy,
      decision: decision.kind,
      reason: decision.reason,
      rule: 'rule' in decision ? decision.rule : '',
      ...refusalCause(decision),
      identity: 'identity' in decision ? decision.identity : undefined,
      method: request?.method,
      scheme: request?.scheme,
      host: request?.host,
      ...(decision.kind === 'redirect' && decision.expected !== undefined ? { expected: decision.expected } : {}),
      path: request?.rawPath.slice(0, MAX_LOGGED_PATH),
      client: request?.clientAddress,
      peer: check.peer(),
    },
    'decision',
  );
}
