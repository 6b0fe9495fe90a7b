import type { IncomingMessage } from 'node:http';
import type { Deny } from '../decision/decision.ts';
import type { ProxyAnswer } from '../decision/proxy-check.ts';
import type { CheckRequest, ProxyName } from '../decision/request.ts';

/** How one proxy asks over HTTP. It holds no policy. */
export interface ProxyAdapter {
  readonly name: ProxyName;
  /** The field, in lower case, in which the proxy names the client's method; absent: the check has that method itself. */
  readonly methodField?: string;
  /** The proxy appends the client's own target to the address of the check. */
  readonly appendsTarget?: boolean;
  /** The proxy deletes the request's `Cookie` where an allow names none. */
  readonly dropsUnnamedCookie?: boolean;
  /** Reads the client's request out of the proxy's check. Called for trusted peers only. */
  /** @param trustedHops `auth.trustedHops` */
  parse(message: IncomingMessage, trustedHops?: number): CheckRequest | Deny;
  /** Says it in the way this proxy can carry; absent: as it is. An allow stays exactly 200, a refusal never becomes a 2xx. */
  adapt?(answer: ProxyAnswer): ProxyAnswer;
}
