import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { GUIDE_VARIABLES } from '../../src/platform/config/environment.ts';
import { configKeys } from '../../src/platform/config/keys.ts';
import {
  createAuthMetrics,
  createProcessMetrics,
  createRelayMetrics,
  createStoreMetrics,
} from '../../src/platform/metrics.ts';

/**
 * Names that operators, proxies and dashboards depend on, as literals. A change here is a change of the public surface:
 * it belongs in CHANGELOG.md.
 */
describe('pinned names', () => {
  it('of identity headers, in the order sent', () => {
    assert.deepEqual(IDENTITY_HEADER_NAMES, [
      'X-Authenticated-User',
      'X-Authenticated-Email',
      'X-Authenticated-Name',
      'X-Authenticated-Groups',
      'X-Authenticated-Scopes',
      'X-Authenticated-Method',
      'X-Authenticated-Issuer',
      'X-Authenticated-Assertion',
    ]);
  });

  it('of the metrics of forward-auth', () => {
    assert.deepEqual(ownNames(createAuthMetrics().registry.getMetricsAsArray()), [
      'postern_auth_decision_duration_seconds',
      'postern_auth_decisions_total',
      'postern_provider_keys_loaded_timestamp_seconds',
      'postern_provider_up',
      'postern_sessions_total',
      'postern_sign_ins_total',
      'postern_token_cache_total',
    ]);
  });

  it('of the metrics of the store', () => {
    const registry = new Registry();
    createStoreMetrics(registry);
    assert.deepEqual(ownNames(registry.getMetricsAsArray()), [
      'postern_rate_limited_total',
      'postern_store_duration_seconds',
      'postern_store_up',
    ]);
  });

  it('of the metrics of a process', () => {
    const registry = new Registry();
    createProcessMetrics(registry, 'relay');
    assert.deepEqual(ownNames(registry.getMetricsAsArray()), [
      'postern_build_info',
      'postern_certificate_expiry_timestamp_seconds',
      'postern_config_last_reload_success_timestamp_seconds',
      'postern_config_reloads_total',
    ]);
  });

  it('of the metrics of the relay', () => {
    assert.deepEqual(ownNames(createRelayMetrics().registry.getMetricsAsArray()), [
      'postern_relay_open_streams',
      'postern_relay_rejected_total',
      'postern_relay_request_duration_seconds',
      'postern_relay_requests_total',
      'postern_relay_upstream_up',
    ]);
  });

  it('of environment variables', () => {
    const names = configKeys().flatMap((key) => (key.env === undefined ? [] : [key.env]));
    assert.deepEqual(names.sort(), ENVIRONMENT);
  });

  it('of the variables of the proxy-authentication guide', () => {
    assert.deepEqual(Object.keys(GUIDE_VARIABLES).sort(), [
      'AUTH_REQUIRED',
      'JWT_ALGORITHM',
      'JWT_AUDIENCE',
      'JWT_AUDIENCE_VERIFICATION',
      'JWT_ISSUER',
      'JWT_PUBLIC_KEY_PATH',
      'JWT_SECRET_KEY',
      'MCP_CLIENT_AUTH_ENABLED',
      'PROXY_USER_HEADER',
      'TRUST_PROXY_AUTH',
    ]);
  });
});

function ownNames(metrics: ReadonlyArray<{ name: string }>): string[] {
  return metrics
    .map((metric) => metric.name)
    .filter((name) => name.startsWith('postern_'))
    .sort();
}

const ENVIRONMENT = [
  'POSTERN_AUTH_API_KEYS_CACHE_TTL',
  'POSTERN_AUTH_API_KEYS_ENABLED',
  'POSTERN_AUTH_API_KEYS_HEADER',
  'POSTERN_AUTH_ASSERTION_AUDIENCE',
  'POSTERN_AUTH_ASSERTION_KEYS',
  'POSTERN_AUTH_ASSERTION_KEYS_PATH',
  'POSTERN_AUTH_ASSERTION_LIFETIME',
  'POSTERN_AUTH_ASSERTION_ROTATE',
  'POSTERN_AUTH_CLIENT_CERTIFICATES_ALLOWED_NAMES',
  'POSTERN_AUTH_CLIENT_CERTIFICATES_HEADER',
  'POSTERN_AUTH_CLIENT_CERTIFICATES_ISSUER',
  'POSTERN_AUTH_CLIENT_CERTIFICATES_SUBJECT',
  'POSTERN_AUTH_EMIT_GROUPS_DELIMITER',
  'POSTERN_AUTH_GRPC',
  'POSTERN_AUTH_INTERNAL_LISTEN',
  'POSTERN_AUTH_LIMITS_HEADERS',
  'POSTERN_AUTH_LIMITS_TOKEN',
  'POSTERN_AUTH_LISTEN',
  'POSTERN_AUTH_OPERATOR_TOKEN',
  'POSTERN_AUTH_PROVIDERS',
  'POSTERN_AUTH_RATE_LIMITS',
  'POSTERN_AUTH_RATE_LIMITS_WITHOUT_REDIS',
  'POSTERN_AUTH_RULES',
  'POSTERN_AUTH_SCOPE_HIERARCHY',
  'POSTERN_AUTH_SESSIONS_ABSOLUTE',
  'POSTERN_AUTH_SESSIONS_CACHE_MAX',
  'POSTERN_AUTH_SESSIONS_CACHE_TTL',
  'POSTERN_AUTH_SESSIONS_COOKIE',
  'POSTERN_AUTH_SESSIONS_COOKIE_DOMAINS',
  'POSTERN_AUTH_SESSIONS_IDLE',
  'POSTERN_AUTH_SESSIONS_KEYS',
  'POSTERN_AUTH_SESSIONS_KEYS_PATH',
  'POSTERN_AUTH_SESSIONS_MAX',
  'POSTERN_AUTH_SESSIONS_PARTITIONED',
  'POSTERN_AUTH_SESSIONS_REFRESH_BEFORE',
  'POSTERN_AUTH_SESSIONS_SAME_SITE',
  'POSTERN_AUTH_SIGN_IN_ALLOWED_RETURN_HOSTS',
  'POSTERN_AUTH_SIGN_IN_ATTEMPT_LIFETIME',
  'POSTERN_AUTH_SIGN_IN_CORS_ORIGINS',
  'POSTERN_AUTH_SIGN_IN_ORIGINS',
  'POSTERN_AUTH_TLS_CERT_PATH',
  'POSTERN_AUTH_TLS_CLIENT_CA_PATH',
  'POSTERN_AUTH_TLS_CLIENT_CERTIFICATE',
  'POSTERN_AUTH_TLS_KEY_PATH',
  'POSTERN_AUTH_TLS_MIN_VERSION',
  'POSTERN_AUTH_TOKEN_CACHE_MAX',
  'POSTERN_AUTH_TOKEN_CACHE_TTL',
  'POSTERN_AUTH_TRUSTED_HOPS',
  'POSTERN_AUTH_TRUSTED_PROXIES',
  'POSTERN_DRAIN',
  'POSTERN_LOG_LEVEL',
  'POSTERN_PUBLIC_URL',
  'POSTERN_REDIS_CLUSTER_NODES',
  'POSTERN_REDIS_CONNECT_TIMEOUT',
  'POSTERN_REDIS_DATABASE',
  'POSTERN_REDIS_KEY_PREFIX',
  'POSTERN_REDIS_PASSWORD',
  'POSTERN_REDIS_SENTINEL_MASTER',
  'POSTERN_REDIS_SENTINEL_NODES',
  'POSTERN_REDIS_SENTINEL_PASSWORD',
  'POSTERN_REDIS_SENTINEL_TLS',
  'POSTERN_REDIS_SENTINEL_USERNAME',
  'POSTERN_REDIS_TIMEOUT',
  'POSTERN_REDIS_TLS_CA_PATH',
  'POSTERN_REDIS_TLS_CERT_PATH',
  'POSTERN_REDIS_TLS_ENABLED',
  'POSTERN_REDIS_TLS_KEY_PATH',
  'POSTERN_REDIS_TLS_SERVER_NAME',
  'POSTERN_REDIS_URL',
  'POSTERN_REDIS_USERNAME',
  'POSTERN_RELAY_ALLOWED_ORIGINS',
  'POSTERN_RELAY_AUTH_REQUIRED',
  'POSTERN_RELAY_INTERNAL_LISTEN',
  'POSTERN_RELAY_JWT_ALGORITHM',
  'POSTERN_RELAY_JWT_AUDIENCE',
  'POSTERN_RELAY_JWT_AUDIENCE_VERIFICATION',
  'POSTERN_RELAY_JWT_CLOCK_TOLERANCE',
  'POSTERN_RELAY_JWT_ENABLED',
  'POSTERN_RELAY_JWT_ISSUER',
  'POSTERN_RELAY_JWT_PUBLIC_KEY_PATH',
  'POSTERN_RELAY_JWT_SECRET_KEY',
  'POSTERN_RELAY_LIMITS_BODY',
  'POSTERN_RELAY_LIMITS_CONNECTIONS',
  'POSTERN_RELAY_LIMITS_CONNECTION_TIME',
  'POSTERN_RELAY_LIMITS_HEADERS',
  'POSTERN_RELAY_LIMITS_IDENTITY',
  'POSTERN_RELAY_LIMITS_IDLE_STREAM',
  'POSTERN_RELAY_LIMITS_REQUEST_TIME',
  'POSTERN_RELAY_LISTEN',
  'POSTERN_RELAY_SERVERS',
  'POSTERN_RELAY_SESSION_KEY',
  'POSTERN_RELAY_TLS_CERT_PATH',
  'POSTERN_RELAY_TLS_CLIENT_CA_PATH',
  'POSTERN_RELAY_TLS_CLIENT_CERTIFICATE',
  'POSTERN_RELAY_TLS_KEY_PATH',
  'POSTERN_RELAY_TLS_MIN_VERSION',
  'POSTERN_RELAY_TRUST_ASSERTION_AUDIENCE',
  'POSTERN_RELAY_TRUST_ASSERTION_CLOCK_TOLERANCE',
  'POSTERN_RELAY_TRUST_ASSERTION_ISSUER',
  'POSTERN_RELAY_TRUST_ASSERTION_JWKS_PATH',
  'POSTERN_RELAY_TRUST_ASSERTION_JWKS_URL',
  'POSTERN_RELAY_TRUST_CERTIFICATES_CA_PATH',
  'POSTERN_RELAY_TRUST_CERTIFICATES_NAMES',
  'POSTERN_RELAY_TRUST_ENABLED',
  'POSTERN_RELAY_TRUST_HEADERS_EMAIL',
  'POSTERN_RELAY_TRUST_HEADERS_FAMILY',
  'POSTERN_RELAY_TRUST_HEADERS_GROUPS',
  'POSTERN_RELAY_TRUST_HEADERS_GROUPS_DELIMITER',
  'POSTERN_RELAY_TRUST_HEADERS_NAME',
  'POSTERN_RELAY_TRUST_HEADERS_PAYLOAD',
  'POSTERN_RELAY_TRUST_PRESET',
  'POSTERN_RELAY_TRUST_PROXIES',
  'POSTERN_RELAY_TRUST_SECRET',
  'POSTERN_RELAY_TRUST_SECRET_HEADER',
  'POSTERN_RELAY_TRUST_TOKEN_AUDIENCES',
  'POSTERN_RELAY_TRUST_TOKEN_CLAIMS_EMAIL',
  'POSTERN_RELAY_TRUST_TOKEN_CLAIMS_GROUPS',
  'POSTERN_RELAY_TRUST_TOKEN_CLAIMS_NAME',
  'POSTERN_RELAY_TRUST_TOKEN_CLAIMS_SUBJECT',
  'POSTERN_RELAY_TRUST_TOKEN_CLOCK_TOLERANCE',
  'POSTERN_RELAY_TRUST_TOKEN_DYNAMIC_CLIENTS',
  'POSTERN_RELAY_TRUST_TOKEN_ISSUER',
  'POSTERN_RELAY_TRUST_TOKEN_JWKS_URL',
  'POSTERN_RELAY_TRUST_TOKEN_KEYS_URL',
  'POSTERN_RELAY_TRUST_TOKEN_SECRET',
  'POSTERN_RELAY_TRUST_TOKEN_SIGNERS',
  'POSTERN_RELAY_TRUST_USER_HEADER',
];
