import type { RequestListener } from 'node:http';
import { Registry } from 'prom-client';
import type { ListDelimiter } from '../identity/headers.ts';
import { PresetHeaders } from '../identity/presets.ts';
import { AddressList } from '../platform/addresses.ts';
import type { Config } from '../platform/config/schema.ts';
import { createHttpServer, drain, listen, sendJson } from '../platform/http.ts';
import { createInternalServer } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import { createAuthMetrics } from '../platform/metrics.ts';
import { openListenerTls } from '../platform/tls.ts';
import { SignedAnswers } from './assertions/signed-answers.ts';
import { openSigningKeys } from './assertions/signing-keys.ts';
import { inOrder } from './authenticators/authenticator.ts';
import { JwtAuthenticator } from './authenticators/jwt.ts';
import { createCheck, createJudge } from './check.ts';
import { DecisionMeter } from './decision-meter.ts';
import { compilePolicy } from './policy.ts';
import type { ProxyAdapter } from './proxies/adapter.ts';
import { CADDY } from './proxies/caddy.ts';
import { ENVOY } from './proxies/envoy.ts';
import { type RunningExtAuthz, startExtAuthz } from './proxies/ext-authz/server.ts';
import { NGINX } from './proxies/nginx.ts';
import { TRAEFIK } from './proxies/traefik.ts';
import { createPublicEndpoints } from './public-endpoints.ts';

export interface ForwardAuthDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
}

export interface RunningForwardAuth {
  readonly port: number;
  readonly internalPort: number;
  /** Where Envoy asks over gRPC; undefined where nothing is configured. */
  readonly grpcPort: number | undefined;
  /** Ends after running checks, at the latest after the configured `drain`. */
  close(): Promise<void>;
}

const VERIFY = '/verify/';
const ADAPTERS: readonly ProxyAdapter[] = [TRAEFIK, CADDY, NGINX, ENVOY];
const APPENDING = new Set<string>(ADAPTERS.filter((adapter) => adapter.appendsTarget).map(({ name }) => name));
/** Milliseconds. */
const REQUEST_TIMEOUT = 30_000;

/** Process one, wired. @throws ConfigurationError where keys cannot be used, PosternError where a port is taken */
export async function startForwardAuth(config: Config, deps: ForwardAuthDependencies): Promise<RunningForwardAuth> {
  const { log, now = Date.now, fetch: fetcher = fetch } = deps;
  const registry = new GatheringRegistry();
  const meter = new DecisionMeter(createAuthMetrics(registry));
  registry.beforeRead = () => meter.flush();

  const policy = compilePolicy(config);
  const keys = await openSigningKeys(config.auth.assertion, { log, now });
  const { audience, lifetime } = config.auth.assertion;
  const presets = new PresetHeaders(policy.rules.emitted, config.auth.emit.groupsDelimiter as ListDelimiter);
  const answers = new SignedAnswers(keys, { issuer: config.publicUrl, audience, lifetime }, now, presets);
  const jwt = new JwtAuthenticator(config.auth, {
    log,
    now,
    fetch: fetcher,
    resources: policy.resources,
    onLookup: (outcome) => meter.lookup(outcome),
  });

  const judge = createJudge({ policy, authenticate: inOrder([jwt]), answers, meter, log });
  const trusted = new AddressList(config.auth.trustedProxies);
  const checks = new Map(ADAPTERS.map((adapter) => [adapter.name as string, createCheck(adapter, trusted, judge)]));
  const publicEndpoints = createPublicEndpoints({
    ...policy,
    issuers: config.auth.providers.map((provider) => provider.issuer),
    publishedKeys: () => keys.published(),
    log,
  });

  // The check is matched on the raw target before anything could resolve it: `/verify/traefik/../x` is no other path.
  const limits = { maxHeaderSize: config.auth.limits.headers, requestTimeout: REQUEST_TIMEOUT };
  const tls = config.auth.tls && openListenerTls(config.auth.tls, 'auth.tls', { log });
  const onRequest: RequestListener = (request, response) => {
    const target = request.url ?? '';
    if (!target.startsWith(VERIFY)) return publicEndpoints(request, response);
    const [, name = '', rest = ''] = /^\/verify\/([a-z]+)(.*)$/s.exec(target) ?? [];
    const check = rest === '' || rest[0] === '?' || APPENDING.has(name) ? checks.get(name) : undefined;
    if (check !== undefined) return check(request, response);
    return sendJson(response, 404, { error: 'not_found', error_description: 'no proxy is checked here' });
  };
  const server = createHttpServer(limits, onRequest, tls);
  const internal = createInternalServer(registry, {
    providers: () => {
      const missing = jwt.missingKeys();
      return missing.length === 0 ? undefined : `keys never loaded: ${missing.join(', ')}`;
    },
  });

  const release = () => {
    jwt.close();
    keys.close();
  };
  let grpc: RunningExtAuthz | undefined;
  try {
    if (config.auth.grpc !== undefined) {
      const maxMessage = 2 * config.auth.limits.headers;
      grpc = await startExtAuthz({ listen: config.auth.grpc, trusted, judge, log, maxMessage });
    }
    const port = await listen(server, config.auth.listen);
    const internalPort = await listen(internal, config.auth.internalListen);
    jwt.start();
    log.info({ port, internalPort, rules: config.auth.rules.length }, 'forward-auth is ready');
    return {
      port,
      internalPort,
      grpcPort: grpc?.port,
      close: async () => {
        release();
        await Promise.all([drain(server, config.drain), grpc?.close(config.drain)]);
        await drain(internal, 1_000);
      },
    };
  } catch (error) {
    release();
    await grpc?.close(0);
    await drain(server, 0);
    throw error;
  }
}

/** A registry that lets numbers be handed over before they are read. */
class GatheringRegistry extends Registry {
  beforeRead: () => void = () => {};

  override metrics(): Promise<string> {
    this.beforeRead();
    return super.metrics();
  }
}
