import type { Call } from '../../../platform/grpc/call.ts';
import type { ConnectionTimes } from '../../../platform/grpc/connection.ts';
import { startGrpcServer } from '../../../platform/grpc/grpc-server.ts';
import { Health } from '../../../platform/grpc/health.ts';
import { CallFailure, STATUS } from '../../../platform/grpc/status.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { WindowRequest } from '../../../platform/navigation.ts';
import type { ListenerCredentials } from '../../../platform/tls.ts';
import type { Tracing } from '../../../platform/tracing/span.ts';
import type { Trusted } from '../../../platform/trusted-peers.ts';
import { type Deny, UNTRUSTED } from '../../decision/decision.ts';
import type { ProxyCheck, RunCheck } from '../../decision/proxy-check.ts';
import { type CheckRequest, RequestHeaders } from '../../decision/request.ts';
import { EncodedAnswers } from './encoded-answers.ts';
import { CHECK_REQUEST, type EnvoyCheckRequest, SERVICE, SERVICE_V2 } from './messages.ts';
import { parseCheckRequest, rawHeadersOf } from './parse.ts';
import { tracedCall } from './traced-call.ts';

/** Who may ask, and how a check is decided. */
export interface CheckContext {
  readonly trusted: Pick<Trusted, 'has'>;
  /** `auth.trustedHops`; absent: 1. */
  readonly trustedHops?: number;
  readonly runCheck: RunCheck;
}

export interface ExtAuthz {
  readonly listen: { readonly host: string; readonly port: number };
  /** Called for each check: a reload replaces it. */
  readonly current: () => CheckContext;
  readonly log: Logger;
  /** Bytes of one check, which holds all headers of a request. */
  readonly maxMessage: number;
  /** Absent: plain text, for the same machine or a network of one's own. */
  readonly tls?: ListenerCredentials | undefined;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
  /** Where they differ from the usual ones. */
  readonly connectionTimes?: Partial<ConnectionTimes>;
}

export interface RunningExtAuthz {
  readonly port: number;
  /** Health checks fail from now on; calls are still taken. */
  announceStop(): void;
  /** @param grace milliseconds until calls that still run are cut */
  close(grace: number): Promise<void>;
}

const CHECK = 'Check';
const V2 = new CallFailure(STATUS.UNIMPLEMENTED, `use ${SERVICE}: set transport_api_version: V3 in Envoy’s ext_authz`);
const UNREADABLE = new CallFailure(STATUS.INTERNAL, 'the message is no CheckRequest');
const FAILED = new CallFailure(STATUS.INTERNAL, 'the check failed');

/**
 * Envoy's external authorization over gRPC (envoy.service.auth.v3), with the health service beside it.
 *
 * @throws PosternError where the port is taken
 */
export async function startExtAuthz(context: ExtAuthz): Promise<RunningExtAuthz> {
  const { listen, maxMessage, tls, tracing, connectionTimes: times } = context;
  const health = new Health(['', SERVICE]);
  const check = checksOf(context);
  const answer =
    tracing === undefined
      ? check
      : (message: Buffer, call: Call) => {
          const origin = {
            peer: call.connection.address,
            metadata: call.metadata,
            trusted: call.connection.isOf(context.current().trusted),
          };
          void tracedCall(tracing, origin, async () => check(message, call));
        };
  const server = await startGrpcServer(listen, 'auth.grpc', {
    methods: new Map([
      ...health.methods,
      [`/${SERVICE}/${CHECK}`, (message, call) => void answer(message, call)],
      [`/${SERVICE_V2}/${CHECK}`, (_message, call) => call.fail(V2)],
    ]),
    maxMessage,
    tls,
    times,
  });
  const announceStop = () => health.stop();
  return {
    port: server.port,
    announceStop,
    close: (grace) => {
      announceStop();
      health.close();
      return server.close(grace);
    },
  };
}

/** @returns answers a check; a promise where that takes time, which is never rejected */
function checksOf({ current, log }: ExtAuthz): (message: Buffer, call: Call) => Promise<void> | undefined {
  const answers = new EncodedAnswers();
  const failed = (call: Call, error: unknown) => {
    log.error({ error, proxy: 'envoy-grpc' }, 'a check failed');
    call.fail(FAILED);
  };
  return (message, call) => {
    const start = performance.now();
    let question: EnvoyCheckRequest;
    try {
      question = CHECK_REQUEST.decode(message);
    } catch {
      call.fail(UNREADABLE);
      return undefined;
    }
    try {
      const context = current();
      const asked = new GrpcCheck(question, call, context, start);
      const answer = (result: Awaited<ReturnType<RunCheck>>) =>
        call.answer(...answers.encode(result, asked.raw, asked.requestId()));
      const result = context.runCheck(asked);
      if (result instanceof Promise) return result.then(answer).catch((error: unknown) => failed(call, error));
      answer(result);
    } catch (error) {
      failed(call, error);
    }
    return undefined;
  };
}

/** A check as Envoy asks it over gRPC. */
class GrpcCheck implements ProxyCheck {
  readonly proxy = 'envoy-grpc';
  readonly start: number;
  /** The client's headers, name and value alternating. */
  readonly raw: readonly string[];
  readonly #question: EnvoyCheckRequest;
  readonly #call: Call;
  readonly #context: CheckContext;
  #id: string | undefined;

  constructor(question: EnvoyCheckRequest, call: Call, context: CheckContext, start: number) {
    this.start = start;
    this.raw = rawHeadersOf(question);
    this.#question = question;
    this.#call = call;
    this.#context = context;
  }

  read(): CheckRequest | Deny {
    const { trusted, trustedHops } = this.#context;
    return this.#call.connection.isOf(trusted) ? parseCheckRequest(this.#question, this.raw, trustedHops) : UNTRUSTED;
  }

  asker(): WindowRequest {
    const { method } = this.#question.attributes?.request?.http ?? {};
    return { method: method || undefined, headers: new RequestHeaders(this.raw) };
  }

  requestId(): string {
    this.#id ??= requestId({ rawHeaders: this.raw });
    return this.#id;
  }

  peer(): string {
    return this.#call.connection.address;
  }
}
