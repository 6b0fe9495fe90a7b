import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressList } from '../platform/addresses.ts';
import { PosternError } from '../platform/errors.ts';
import { requestId } from '../platform/http.ts';
import type { Logger } from '../platform/log.ts';
import type { SignedAnswers } from './assertions/signed-answers.ts';
import type { Authenticate } from './decision/authentication.ts';
import { decide, type Policy } from './decision/decide.ts';
import { type Decision, type Deny, deny, type Unavailable } from './decision/decision.ts';
import type { CheckRequest, ProxyName } from './decision/request.ts';
import type { DecisionMeter } from './decision-meter.ts';
import { renderRefusal } from './proxies/render.ts';

export interface Check {
  readonly proxy: ProxyName;
  readonly parse: (message: IncomingMessage) => CheckRequest | Deny;
  readonly trusted: AddressList;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  readonly answers: SignedAnswers;
  readonly meter: DecisionMeter;
  readonly log: Logger;
}

/** Characters. */
const MAX_LOGGED_PATH = 512;

const UNTRUSTED = deny(403, 'untrusted_proxy', 'this address is not in auth.trustedProxies');

/** A check endpoint: parse → decide → render. Whatever goes wrong, only an explicit allow is a 2xx. */
export function createCheck(check: Check): (message: IncomingMessage, response: ServerResponse) => void {
  const { proxy, parse, trusted, policy, authenticate, answers, meter, log } = check;

  const answer = (
    message: IncomingMessage,
    response: ServerResponse,
    request: CheckRequest | undefined,
    decision: Decision,
    start: number,
  ) => {
    if (decision.kind === 'allow' && request !== undefined) {
      response.writeHead(200, answers.headersFor(decision.identity, request));
      response.end();
    } else if (decision.kind !== 'allow') {
      const id = requestId(message);
      const refusal = renderRefusal(decision, id);
      response.writeHead(refusal.status, refusal.headers as string[]);
      response.end(refusal.body);
    }
    meter.count(proxy, decision, performance.now() - start);
    record(log, message, request, decision);
  };

  return (message, response) => {
    const start = performance.now();
    const fail = (error: unknown) => {
      log.error({ error, proxy }, 'a check failed');
      if (response.headersSent) return void response.destroy();
      answer(message, response, undefined, unavailable(error), start);
    };
    try {
      if (!trusted.hasPeer(message.socket)) return answer(message, response, undefined, UNTRUSTED, start);
      const parsed = parse(message);
      if ('kind' in parsed) return answer(message, response, undefined, parsed, start);
      const decision = decide(parsed, policy, authenticate);
      if (!(decision instanceof Promise)) return answer(message, response, parsed, decision, start);
      decision.then((settled) => answer(message, response, parsed, settled, start)).catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}

function unavailable(error: unknown): Unavailable {
  const known = error instanceof PosternError && error.status === 503;
  return {
    kind: 'unavailable',
    reason: known ? 'dependency' : 'internal_error',
    description: known && error.expose ? error.message : 'the check failed; try again shortly',
  };
}

/** Never a header, never a query: either can hold a credential. */
function record(log: Logger, message: IncomingMessage, request: CheckRequest | undefined, decision: Decision): void {
  const level = decision.kind === 'allow' ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  log[level](
    {
      request_id: requestId(message),
      decision: decision.kind,
      reason: decision.reason,
      rule: 'rule' in decision ? decision.rule : '',
      subject: decision.kind === 'allow' ? decision.identity.subject : 'subject' in decision ? decision.subject : '',
      method: request?.method,
      host: request?.host,
      path: request?.rawPath.slice(0, MAX_LOGGED_PATH),
      client: request?.clientAddress,
      peer: message.socket.remoteAddress,
    },
    'decision',
  );
}
