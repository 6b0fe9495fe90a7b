import type { IncomingMessage } from 'node:http';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { withoutBrackets } from '../../../platform/config/host-and-port.ts';
import { PosternError } from '../../../platform/errors.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { Tracing } from '../../../platform/tracing/span.ts';
import type { Trusted } from '../../../platform/trusted-peers.ts';
import { UNTRUSTED } from '../../decision/decision.ts';
import type { RunCheck } from '../../decision/proxy-check.ts';
import { RequestHeaders } from '../../decision/request.ts';
import {
  AUTHORIZATION,
  AUTHORIZATION_V2,
  type EnvoyCheckRequest,
  type EnvoyCheckResponse,
  SERVICE,
} from './messages.ts';
import { parseCheckRequest, rawHeadersOf } from './parse.ts';
import { renderResult } from './render.ts';
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
  readonly credentials?: ServerCredentials;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
  /** Where they differ from the usual ones. */
  readonly connectionTimes?: Partial<typeof CONNECTION_TIMES>;
}

export interface RunningExtAuthz {
  readonly port: number;
  /** Health checks fail from now on; calls are still taken. */
  announceStop(): void;
  /** @param grace milliseconds until calls that still run are cut */
  close(grace: number): Promise<void>;
}

/** Milliseconds: an idle or an old connection ends, so that none is held for ever and replicas share the load anew; a dead one is found. */
const CONNECTION_TIMES = {
  'grpc.max_connection_idle_ms': 15 * 60_000,
  'grpc.max_connection_age_ms': 60 * 60_000,
  'grpc.max_connection_age_grace_ms': 30_000,
  // Node does not notice a peer that leaves in the midst of a frame.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

const V2 = {
  code: status.UNIMPLEMENTED,
  details: `use ${SERVICE}: set transport_api_version: V3 in Envoy’s ext_authz`,
};

/**
 * Envoy's external authorization over gRPC (envoy.service.auth.v3), with the health service beside it.
 *
 * @throws PosternError where the port is taken
 */
export async function startExtAuthz(context: ExtAuthz): Promise<RunningExtAuthz> {
  const { listen, credentials = ServerCredentials.createInsecure(), maxMessage } = context;
  const server = new Server({
    'grpc.max_receive_message_length': maxMessage,
    ...CONNECTION_TIMES,
    ...context.connectionTimes,
  });
  const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' });
  server.addService(AUTHORIZATION, {
    Check: (call: ServerUnaryCall<EnvoyCheckRequest, EnvoyCheckResponse>, answer: sendUnaryData<EnvoyCheckResponse>) =>
      void (context.tracing === undefined
        ? check(context, call, answer)
        : traced(context, context.tracing, call, answer)),
  });
  server.addService(AUTHORIZATION_V2, { Check: (_call: unknown, answer: sendUnaryData<never>) => answer(V2) });
  health.addToServer(server);
  const port = await bind(server, listen, credentials);
  const announceStop = () => {
    for (const name of ['', SERVICE]) health.setStatus(name, 'NOT_SERVING');
  };
  return {
    port,
    announceStop,
    close: async (grace) => {
      announceStop();
      const cut = setTimeout(() => server.forceShutdown(), grace);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(cut);
    },
  };
}

async function check(
  { current, log }: ExtAuthz,
  call: ServerUnaryCall<EnvoyCheckRequest, EnvoyCheckResponse>,
  answer: sendUnaryData<EnvoyCheckResponse>,
): Promise<void> {
  const start = performance.now();
  try {
    const { runCheck, trusted, trustedHops } = current();
    const peer = addressOf(call.getPeer());
    const raw = rawHeadersOf(call.request);
    const id = requestId({ rawHeaders: raw } as IncomingMessage);
    const read = () =>
      trusted.has(peer, namesOf(call)) ? parseCheckRequest(call.request, raw, trustedHops) : UNTRUSTED;
    const { method } = call.request.attributes?.request?.http ?? {};
    const result = await runCheck({
      proxy: 'envoy-grpc',
      read,
      asker: () => ({ method, headers: new RequestHeaders(raw) }),
      requestId: () => id,
      peer: () => peer,
      start,
    });
    const response = renderResult(result, raw, id);
    // An answer without a status is an allow to Envoy.
    if (response.status === undefined) throw new TypeError('an answer without a status');
    answer(null, response);
  } catch (error) {
    log.error({ error, proxy: 'envoy-grpc' }, 'a check failed');
    answer({ code: status.INTERNAL, details: 'the check failed' });
  }
}

function traced(
  context: ExtAuthz,
  tracing: Tracing,
  call: ServerUnaryCall<EnvoyCheckRequest, EnvoyCheckResponse>,
  answer: sendUnaryData<EnvoyCheckResponse>,
): Promise<void> {
  const peer = addressOf(call.getPeer());
  const origin = {
    peer,
    metadata: call.metadata.getMap(),
    trusted: context.current().trusted.has(peer, namesOf(call)),
  };
  return tracedCall(tracing, origin, () => check(context, call, answer));
}

/** @returns alternative names of the certificate that grpc-js has verified */
function namesOf(call: Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>): string | undefined {
  return call.getAuthContext().sslPeerCertificate?.subjectaltname;
}

/** `203.0.113.7:1234` or `[2001:db8::1]:1234`, as grpc-js writes a peer. */
function addressOf(peer: string): string {
  return withoutBrackets(peer.replace(/:\d+$/, ''));
}

function bind(server: Server, { host, port }: ExtAuthz['listen'], credentials: ServerCredentials): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, bound) => {
      if (cause === null) return resolve(bound);
      reject(new PosternError('listen', `auth.grpc: cannot listen on ${address}`, { expose: true, cause }));
    });
  });
}
