import type { Socket } from 'node:net';
import { drainTimes } from '../platform/config/drain-schema.ts';
import type { Config } from '../platform/config/schema.ts';
import { createHttpServer, drain, endKeepAlive, listen, type RequestHandler, sendJson } from '../platform/http.ts';
import { createInternalServer, type InternalHandler } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import type { GatheringRegistry, ProcessMetrics } from '../platform/metrics.ts';
import type { PageSite } from '../platform/pages/page.ts';
import { unreadableRequestPage } from '../platform/pages/unreadable-request.ts';
import type { Readiness } from '../platform/readiness.ts';
import { openListenerTls } from '../platform/tls.ts';
import type { Tracing } from '../platform/tracing/span.ts';
import { tracedRequests } from '../platform/tracing/traced-requests.ts';
import type { WorkerPlace } from '../platform/worker-place.ts';
import { createCheckEndpoint, type Peers } from './check/check.ts';
import type { RunCheck } from './decision/proxy-check.ts';
import type { ProxyAdapter } from './proxies/adapter.ts';
import { CADDY } from './proxies/caddy.ts';
import { ENVOY } from './proxies/envoy.ts';
import { type RunningExtAuthz, startExtAuthz } from './proxies/ext-authz/server.ts';
import { NGINX } from './proxies/nginx.ts';
import { TRAEFIK } from './proxies/traefik.ts';
import { spanRoute } from './span-routes.ts';

const VERIFY = '/verify/';
const ADAPTERS: readonly ProxyAdapter[] = [TRAEFIK, CADDY, NGINX, ENVOY];
const APPENDING = new Set<string>(ADAPTERS.filter((adapter) => adapter.appendsTarget).map(({ name }) => name));
/** Milliseconds. */
const REQUEST_TIMEOUT = 30_000;

/** What answers now; another one after a reload. */
export interface Answering {
  readonly peers: Peers;
  readonly runCheck: RunCheck;
  readonly answer: RequestHandler;
  readonly operator: InternalHandler;
  readonly site: PageSite;
}

export interface Serving {
  /** Asked once for each request. */
  readonly current: () => Answering;
  readonly registry: GatheringRegistry;
  readonly metrics: ProcessMetrics;
  readonly readiness: Readiness;
  /** What was read of the configuration. */
  readonly configuration: () => object;
  readonly log: Logger;
  /** Undefined: traces are off. */
  readonly tracing: Tracing | undefined;
  /** Undefined: this process answers operators itself. */
  readonly worker: WorkerPlace | undefined;
}

export interface Listeners {
  readonly port: number;
  readonly internalPort: number;
  /** Where Envoy asks over gRPC; undefined where nothing is configured. */
  readonly grpcPort: number | undefined;
  /** Tells everybody who routes to this process to stop; requests are still taken. */
  announceStop(): void;
  /** Ends after running checks, at the latest when the configured `drain` is over, counted from `announceStop`. */
  close(): Promise<void>;
}

/** Opens the ports of forward-auth. @throws ConfigurationError, PosternError where a port is taken; none stays open then */
export async function openListeners(config: Config, serving: Serving): Promise<Listeners> {
  const { auth } = config;
  const { log, current, tracing, worker } = serving;
  const tls = auth.tls && openListenerTls(auth.tls, 'auth.tls', { log, metrics: serving.metrics });
  const limits = { maxHeaderSize: auth.limits.maxHeaders, requestTimeout: REQUEST_TIMEOUT };
  const answer: RequestHandler = (request, response) => current().answer(request, response);
  const trusts = (socket: Socket) => current().peers.trusted.hasPeer(socket);
  const server = createHttpServer(
    { ...limits, tls, log, problemPage: (...asked) => unreadableRequestPage(current().site, ...asked) },
    tracing === undefined ? answer : tracedRequests(tracing, answer, { trusts, route: spanRoute }),
  );
  const operator: InternalHandler = (request, response) => current().operator(request, response);
  const internal = createInternalServer(serving.registry, serving.readiness, {
    operator,
    configuration: serving.configuration,
    log,
    ofWorker: worker !== undefined,
  });
  let grpc: RunningExtAuthz | undefined;
  try {
    if (auth.grpc !== undefined) {
      const maxMessage = 2 * auth.limits.maxHeaders;
      grpc = await startExtAuthz({
        listen: auth.grpc,
        current: () => ({ ...current().peers, runCheck: current().runCheck }),
        log,
        maxMessage,
        tls,
        tracing,
      });
    }
    const port = await listen(server, auth.listen, 'auth.listen');
    const ownListen = worker === undefined ? auth.internalListen : { path: worker.socket };
    const internalPort = await listen(internal, ownListen, 'auth.internalListen');
    let deadline: number | undefined;
    const { total } = drainTimes(config.drain);
    return {
      port,
      internalPort,
      grpcPort: grpc?.port,
      announceStop: () => {
        deadline = performance.now() + total;
        serving.readiness.drain();
        grpc?.announceStop();
        endKeepAlive(server);
      },
      close: async () => {
        const left = deadline === undefined ? total : Math.max(0, deadline - performance.now());
        await Promise.all([drain(server, left), grpc?.close(left)]);
        await drain(internal, 1_000);
      },
    };
  } catch (error) {
    await grpc?.close(0);
    await drain(server, 0);
    throw error;
  }
}

/**
 * The check is matched on the raw target before anything could resolve it: `/verify/traefik/../x` is no other path.
 *
 * @param pages everything that is no check
 */
export function createRoute(peers: Peers, runCheck: RunCheck, pages: RequestHandler): RequestHandler {
  const checks = new Map(
    ADAPTERS.map((adapter) => [adapter.name as string, createCheckEndpoint(adapter, peers, runCheck)]),
  );
  const whole = new Map([...checks].map(([name, check]) => [VERIFY + name, check]));
  return (request, response) => {
    const target = request.url ?? '';
    const wanted = whole.get(target);
    if (wanted !== undefined) return wanted(request, response);
    if (!target.startsWith(VERIFY)) return pages(request, response);
    const [, name = '', rest = ''] = /^\/verify\/([a-z]+)(.*)$/s.exec(target) ?? [];
    const check = rest === '' || rest[0] === '?' || APPENDING.has(name) ? checks.get(name) : undefined;
    if (check !== undefined) return check(request, response);
    return sendJson(response, 404, { error: 'not_found', error_description: 'no proxy is checked here' });
  };
}
