import { unstatedPolicy } from '../../platform/config/rule-statements.ts';
import type { Config } from '../../platform/config/schema.ts';
import { presetOf, signedAlternative } from '../../platform/config/trust-presets.ts';
import type { Logger } from '../../platform/log.ts';

/** Bytes: what HS256 needs at least. */
const MIN_SECRET = 32;

/** What an operator should know at start about whom the relay believes, with the fix. */
export function logTrustNotices({ relay }: Config, log: Logger): void {
  const { jwt, trust, authRequired } = relay;
  const open = unstatedPolicy(relay);
  if (open !== undefined) log.warn(open);
  if (!jwt.enabled && !trust.enabled)
    log.warn(
      'MCP client authentication is disabled without a trusted proxy: ' +
        `every request is ${authRequired ? 'refused with 401' : 'anonymous'}. ` +
        'Fix: set TRUST_PROXY_AUTH=true (relay.trust.enabled) behind a proxy that authenticates, ' +
        'or MCP_CLIENT_AUTH_ENABLED=true (relay.jwt.enabled) to check JWTs here',
    );
  if (
    jwt.enabled &&
    jwt.algorithm.startsWith('HS') &&
    jwt.secretKey?.some((key) => Buffer.byteLength(key) < MIN_SECRET)
  )
    log.warn(
      `JWT_SECRET_KEY is shorter than ${MIN_SECRET} bytes and can be guessed from one token (RFC 7518 §3.2). ` +
        'Fix: set a longer relay.jwt.secretKey, or use an algorithm with a key pair',
    );
  if (!trust.enabled) return;
  const better = signedAlternative(trust);
  if (better !== undefined)
    log.warn(
      `${trust.userHeader} is a plain header that any client which reaches the relay can send. ` +
        `Fix: set relay.trust.preset to ${better}, which verifies the signed header beside it`,
    );
  if (presetOf(trust) === 'oauth2-proxy' && trust.headers.family === undefined)
    log.info(
      'relay.trust.headers.family is not set: X-Auth-Request-* and X-Forwarded-* are both read. ' +
        'Set it to the one that oauth2-proxy sends where it lets some paths pass without sign-in',
    );
}
