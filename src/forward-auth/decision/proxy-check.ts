import type { WindowRequest } from '../../platform/navigation.ts';
import type { Decision, Deny } from './decision.ts';
import type { CheckRequest, ProxyName } from './request.ts';

/** A proxy's check of one client request, whichever way the proxy asks. */
export interface ProxyCheck {
  readonly proxy: ProxyName;
  /** The proxy deletes the request's `Cookie` where an allow names none. */
  readonly dropsUnnamedCookie?: boolean;
  /** Reads the client's request out of the check; a deny if the check itself is malformed. */
  readonly read: () => CheckRequest | Deny;
  /** Whoever asks, also where nothing more can be read: only for the form of the answer. */
  readonly asker: () => WindowRequest;
  /** Called for refusals and the log only: making one costs as much as a look-up. */
  readonly requestId: () => string;
  /** Address of the proxy, for the log. */
  readonly peer: () => string;
  /** `performance.now()` when the check arrived. */
  readonly start: number;
}

/** An HTTP answer to a proxy. */
export interface ProxyAnswer {
  readonly status: number;
  /** Names and values alternating, as `writeHead` takes them. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** What was decided, and how it reads over HTTP. */
export interface CheckResult {
  readonly decision: Decision;
  readonly answer: ProxyAnswer;
}

/** Decides a check, and renders, counts and logs the decision. It never throws. */
export type RunCheck = (check: ProxyCheck) => CheckResult | Promise<CheckResult>;
