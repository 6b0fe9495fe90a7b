import { z } from 'zod';
import { USER_NAMES } from '../../identity/user.ts';
import { LOG_LEVELS } from '../log.ts';
import { checkAdmin } from './admin-schema.ts';
import { checkAggregate } from './aggregate-schema.ts';
import { auditSchema } from './audit-schema.ts';
import { authSchema } from './auth-schema.ts';
import { checkBroker } from './broker-schema.ts';
import { checkHiddenOperations } from './check-hidden-operations.ts';
import { checkProviders } from './check-providers.ts';
import { checkTrust } from './check-trust.ts';
import { drainSchema } from './drain-schema.ts';
import { checkMigration } from './migration-schema.ts';
import { checkPassThrough } from './passthrough-schema.ts';
import { LACKS_SECRET } from './process-sections.ts';
import { redisSchema } from './redis-schema.ts';
import { relaySchema } from './relay-schema.ts';
import { checkRuleProviders } from './reserved-providers.ts';
import { tracingSchema } from './tracing-schema.ts';
import { AT_START, AT_START_OF_BOTH, httpUrl } from './values.ts';
import { watchSchema } from './watch-schema.ts';
import { checkWorkers } from './workers-schema.ts';

/** What a cookie's name promises (RFC 6265bis §4.1.3) must hold, or browsers drop it without a word. */
function checkSignIn(publicUrl: string, auth: z.output<typeof authSchema>, context: z.RefinementCtx): void {
  const issue = (path: Array<string | number>, message: string) =>
    context.addIssue({ code: 'custom', path: ['auth', ...path], message });
  const { cookie, cookieDomains, sameSite, partitioned } = auth.sessions;
  if (cookie.startsWith('__Host-') && cookieDomains.length > 0)
    issue(['sessions', 'cookie'], 'a __Host- cookie has no domain: name it __Secure-… to use cookieDomains');
  if (partitioned && sameSite !== 'none')
    issue(['sessions', 'partitioned'], 'a partitioned cookie needs sameSite: none');
  for (const [index, origin] of auth.signIn.origins.entries()) {
    const { hostname } = new URL(origin);
    if (!cookieDomains.some((domain) => hostname === domain || hostname.endsWith(`.${domain}`)))
      issue(['signIn', 'origins', index], `no entry of auth.sessions.cookieDomains covers ${hostname}`);
  }
  const hostname = new URL(publicUrl).hostname;
  if (
    cookieDomains.length > 0 &&
    !cookieDomains.some((domain) => hostname === domain || hostname.endsWith(`.${domain}`))
  )
    issue(['sessions', 'cookieDomains'], `none covers ${hostname}, the host of publicUrl`);
  for (const [index, provider] of auth.providers.entries()) {
    if (provider.clientId === undefined && (provider.clientSecret ?? provider.clientSecretPath) !== undefined)
      issue(['providers', index, 'clientId'], 'needed where there is a client secret');
    if (provider.introspection.enabled && provider.clientId === undefined)
      issue(['providers', index, 'clientId'], 'needed for introspection');
  }
  const signingIn = auth.providers.filter((provider) => provider.clientId !== undefined).map(({ id }) => id);
  for (const [index, { signIn, sessionOnly }] of auth.rules.entries()) {
    for (const id of signIn?.providers ?? [])
      if (!signingIn.includes(id))
        issue(['rules', index, 'signIn', 'providers'], `there is no provider "${id}" with a clientId`);
    if (sessionOnly && signingIn.length === 0)
      issue(['rules', index, 'sessionOnly'], 'needs a provider with a clientId, otherwise no user can have a session');
  }
}

/** A client certificate proves something only where a listener asks for it and knows its authority. */
function checkTls({ tls, trust }: z.output<typeof relaySchema>, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string) =>
    context.addIssue({ code: 'custom', path: ['relay', ...path], message });
  const { certificates } = trust;
  if (certificates !== undefined && tls === undefined)
    issue(['trust', 'certificates'], 'needs relay.tls: without TLS no client shows a certificate');
  else if (certificates !== undefined && (certificates.caPath === undefined) === (tls?.clientCaPath === undefined))
    issue(['trust', 'certificates', 'caPath'], 'give exactly one of this and relay.tls.clientCaPath');
}

/** Each key by itself; `configSchema` looks at them together. */
export const configShape = z.strictObject({
  publicUrl: httpUrl('the address at which clients reach the proxy').default('http://127.0.0.1:8080'),
  log: z
    .strictObject({
      level: z
        .enum(LOG_LEVELS)
        .default('info')
        .meta({ description: 'the least severe lines that are written; `silent` writes none' }),
    })
    .prefault({})
    .meta({ ...AT_START, description: 'the log of both processes, JSON lines on standard output' }),
  userNames: z
    .array(z.enum(USER_NAMES))
    .default(['username'])
    .meta({
      ...AT_START_OF_BOTH,
      description:
        'which names of a user stand beside `user` (issuer and subject) in log, audit and security events: `username`, `email`, `name`; empty: none',
    }),
  drain: drainSchema.prefault('7s').meta(AT_START),
  auth: authSchema
    .prefault({})
    .meta({ description: 'forward-auth: the process that the reverse proxy asks about each request' }),
  redis: redisSchema
    .optional()
    .meta({ ...AT_START, description: 'sessions, limits and keys; absent: in memory, one process' }),
  audit: auditSchema.prefault({}).meta({
    ...AT_START,
    description: 'the audit log: who did what; without `stdout`, `file` or `redis` nothing is recorded',
  }),
  tracing: tracingSchema
    .prefault({})
    .meta({ ...AT_START, description: 'OpenTelemetry traces, sent to a collector over OTLP' }),
  watch: watchSchema
    .prefault({})
    .meta({ ...AT_START, description: 'the watch reports unusual use as security events; it refuses nothing' }),
  relay: relaySchema
    .prefault({})
    .meta({ description: 'the relay: the process that passes MCP messages on to the servers' }),
});

export const configSchema = configShape.superRefine((config, context) => {
  const { trust, listen, jwt } = config.relay;
  if (config.audit.redis !== undefined && config.redis === undefined)
    context.addIssue({ code: 'custom', path: ['audit', 'redis'], message: 'needs `redis`' });
  checkTrust(trust, jwt, listen.host, context);
  checkAdmin(config.relay, context);
  checkMigration(config.relay, context);
  checkTls(config.relay, context);
  if (config.auth.trustedCertificates !== undefined && config.auth.tls?.clientCertificate !== 'require')
    context.addIssue({
      code: 'custom',
      path: ['auth', 'trustedCertificates'],
      message: 'needs auth.tls.clientCertificate: require, otherwise no client has to show a certificate',
    });
  checkPassThrough(config.relay, context);
  if (config.relay.aggregate !== undefined)
    checkAggregate(config.relay.aggregate, Object.keys(config.relay.servers), (path, message) =>
      context.addIssue({ code: 'custom', path: ['relay', 'aggregate', ...path], message }),
    );
  if (jwt.enabled && jwt.algorithm.startsWith('HS') && jwt.secretKey === undefined)
    context.addIssue({
      code: 'custom',
      path: ['relay', 'jwt', 'secretKey'],
      message: `needed for ${jwt.algorithm}: set JWT_SECRET_KEY`,
      params: LACKS_SECRET,
    });
  if (jwt.enabled && !jwt.algorithm.startsWith('HS') && jwt.publicKeyPath === undefined)
    context.addIssue({
      code: 'custom',
      path: ['relay', 'jwt', 'publicKeyPath'],
      message: `needed for ${jwt.algorithm}`,
    });
  checkSignIn(config.publicUrl, config.auth, context);
  checkRuleProviders(config.auth, context);
  checkBroker(
    config.auth.broker,
    {
      signingIn: config.auth.providers.filter(({ clientId }) => clientId !== undefined).map(({ id }) => id),
      servers: Object.keys(config.relay.servers),
    },
    (path, message) => context.addIssue({ code: 'custom', path: ['auth', 'broker', ...path], message }),
  );
  checkHiddenOperations(config.auth, config.relay, context);
  checkProviders(config.auth, Object.keys(config.relay.servers), context);
  checkWorkers(config, context);
});

export type Config = z.output<typeof configSchema>;
export type AuthConfig = Config['auth'];
export type RelayConfig = Config['relay'];
export type PolicyConfig = NonNullable<RelayConfig['policy']>;
export type PolicyRuleConfig = PolicyConfig['rules'][number];
export type WatchConfig = Config['watch'];
export type RedisConfig = NonNullable<Config['redis']>;
export type ProviderConfig = AuthConfig['providers'][number];
export type TracingConfig = Config['tracing'];
export type BrokerConfig = AuthConfig['broker'];
export type RuleConfig = AuthConfig['rules'][number];
export type SessionsConfig = AuthConfig['sessions'];
export type RateLimitConfig = AuthConfig['rateLimits'][number];
export type LimitedBy = RateLimitConfig['by'];
export type EmittedPreset = RuleConfig['emit'][number];
