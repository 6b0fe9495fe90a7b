import type { z } from 'zod';
import { isLoopback, parseRange } from '../addresses.ts';
import { LACKS_SECRET } from './process-sections.ts';
import { isSigned, presetOf, TRUST_PRESETS } from './trust-presets.ts';
import type { TrustConfig } from './trust-schema.ts';

/** Settings of the relay's own check of JWTs that tell whose tokens an operator has in mind. */
export interface JwtSettings {
  readonly enabled: boolean;
  readonly issuer: string;
  readonly publicKeyPath?: string | undefined;
}

/** Whether everything that a preset needs is there and nothing that it would not look at; and whether it proves anything. */
export function checkTrust(trust: TrustConfig, jwt: JwtSettings, listenHost: string, context: z.RefinementCtx): void {
  if (!trust.enabled) return;
  const issue = (path: readonly string[], message: string, params = {}) =>
    context.addIssue({ code: 'custom', path: ['relay', 'trust', ...path], message, params });
  if (looksLikeHyprMcp(trust, jwt)) issue([], HYPRMCP);
  else checkProof(trust, listenHost, issue);
  checkNames(trust, issue);
  checkToken(trust, issue);
}

const HYPRMCP =
  'JWT_ISSUER or JWT_PUBLIC_KEY_PATH (relay.jwt) is set, but MCP_CLIENT_AUTH_ENABLED=false: nothing verifies these tokens. This is the guide’s set-up ' +
  'for HyprMCP Gateway, which adds no identity header and removes none, so any user whom it lets through could claim any name. Set ' +
  'relay.trust.preset: hyprmcp with relay.trust.token (issuer: the issuer of Dex, audiences: its client ids), and the relay verifies the tokens itself. ' +
  'Where another proxy authenticates and writes the identity headers, remove JWT_ISSUER and JWT_PUBLIC_KEY_PATH or set relay.trust.preset to its preset';

/**
 * The guide's variables for HyprMCP Gateway and Dex: header trust beside the issuer or key of tokens that nobody verifies, and no
 * word on whose headers count. An address is no proof there, because the gateway passes on what a client writes.
 */
function looksLikeHyprMcp(
  { preset, userHeader, secret, certificates, assertion }: TrustConfig,
  jwt: JwtSettings,
): boolean {
  if (jwt.enabled || preset !== undefined || (userHeader !== undefined && presetOf({ userHeader }) !== 'postern'))
    return false;
  if (secret !== undefined || certificates !== undefined || assertion !== undefined) return false;
  return jwt.publicKeyPath !== undefined || /^https?:\/\//i.test(jwt.issuer);
}

type Issue = (path: readonly string[], message: string, params?: typeof LACKS_SECRET) => void;

function checkProof(trust: TrustConfig, host: string, issue: Issue): void {
  const { proxies, secret, certificates, assertion } = trust;
  const preset = presetOf(trust);
  const { proof } = TRUST_PRESETS[preset];
  if (proof === 'not-address' && secret === undefined && certificates === undefined)
    issue([], `preset ${preset} needs secret or certificates: its addresses are every customer's`, LACKS_SECRET);
  if (proof === 'loopback' && proxies?.some((range) => !isLoopback(range.split('/')[0] as string) || !narrow(range)))
    issue(['proxies'], `preset ${preset} believes a program of this machine only: leave proxies out`);
  const everywhere = proxies?.some((range) => range.endsWith('/0')) === true;
  const proven =
    (proxies !== undefined && !everywhere) ||
    secret !== undefined ||
    certificates !== undefined ||
    assertion !== undefined ||
    isSigned(trust);
  if (!proven && !isLoopback(host))
    issue(
      [],
      `identity headers would be believed without proof on ${host}: set ${everywhere ? 'narrower proxies, because a range /0 is not proof,' : 'proxies,'} secret, certificates or assertion (by environment POSTERN_RELAY_TRUST_PROXIES, POSTERN_RELAY_TRUST_SECRET), or listen on 127.0.0.1`,
      LACKS_SECRET,
    );
}

/** A range of loopback addresses holds nothing else: at least 127.0.0.0/8 or ::1/128. A wrong range is named by the schema. */
function narrow(range: string): boolean {
  try {
    const [address, bits] = parseRange(range);
    return bits >= (address.kind() === 'ipv4' ? 8 : 128);
  } catch {
    return true;
  }
}

/**
 * Fields with a meaning of their own in every request, whoever sends it (RFC 9110; W3C Trace Context; the MCP transports; what proxies
 * say of the connection): no proxy names a person by them.
 */
const MESSAGE_FIELD =
  /^(host|authorization|proxy-authorization|proxy-authenticate|proxy-connection|www-authenticate|dpop|cookie|connection|keep-alive|te|trailer|transfer-encoding|upgrade|upgrade-insecure-requests|expect|via|max-forwards|forwarded|origin|referer|user-agent|date|priority|range|if-.*|content-.*|accept|accept-.*|access-control-.*|cache-control|pragma|last-event-id|mcp-.*|sec-.*|traceparent|tracestate|baggage|x-request-id|x-correlation-id|x-forwarded-(for|host|proto|port|uri|method|prefix|server)|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip|x-envoy-external-address)$/i;

function checkNames(trust: TrustConfig, issue: Issue): void {
  const preset = presetOf(trust);
  const named = { userHeader: trust.userHeader, secretHeader: trust.secretHeader };
  for (const [key, value] of Object.entries(named))
    if (value !== undefined && MESSAGE_FIELD.test(value)) issue([key], notAName(value));
  for (const [path, value] of [
    [['userHeader'], trust.userHeader],
    ...Object.entries(trust.headers).map(([key, header]) => [['headers', key], header] as const),
  ] as const)
    if (value?.toLowerCase() === trust.secretHeader.toLowerCase())
      issue(path, `${value} carries the proxy's secret (relay.trust.secretHeader): name another header`);
  for (const [key, value] of Object.entries(trust.headers))
    if (key !== 'family' && value !== undefined && MESSAGE_FIELD.test(value)) issue(['headers', key], notAName(value));
  const { email, name, groups, payload, family } = trust.headers;
  if (!TRUST_PRESETS[preset].ownNames)
    for (const [key, value] of Object.entries({ email, name, groups }))
      if (value !== undefined) issue(['headers', key], `preset ${preset} has names of its own`);
  if (payload !== undefined && preset !== 'istio') issue(['headers', 'payload'], 'goes with preset istio');
  if (payload !== undefined && trust.userHeader !== undefined)
    issue(['headers', 'payload'], 'give either this or userHeader');
  if (family !== undefined && preset !== 'oauth2-proxy') issue(['headers', 'family'], 'goes with preset oauth2-proxy');
  if (trust.assertion !== undefined && preset !== 'postern' && preset !== 'headers')
    issue(['assertion'], `forward-auth's assertion goes with preset postern or headers, not with ${preset}`);
}

function notAName(field: string): string {
  return `${field} has a meaning of its own in every request and cannot carry this: name the header that your proxy writes, such as X-Authenticated-User (PROXY_USER_HEADER)`;
}

function checkToken(trust: TrustConfig, issue: Issue): void {
  const preset = presetOf(trust);
  const needs = TRUST_PRESETS[preset].token;
  const { token } = trust;
  if (needs === 'none') {
    if (token !== undefined) issue(['token'], `preset ${preset} reads no token`);
    return;
  }
  if (needs === 'optional') {
    if (token === undefined) return;
    if (token.audiences === undefined) issue(['token', 'audiences'], `preset ${preset} needs the client id here`);
    if (token.secret === undefined && token.issuer === undefined && token.jwksUrl === undefined)
      issue(['token'], 'give issuer, jwksUrl or secret: what shall verify the signature?');
    if (token.secret !== undefined && token.jwksUrl !== undefined)
      issue(['token', 'secret'], 'give either this or jwksUrl');
  } else
    for (const key of needs) {
      // HyprMCP invents the ids of the clients that it registers.
      if (key === 'audiences' && preset === 'hyprmcp' && token?.dynamicClients === true) continue;
      if (token?.[key] === undefined) issue(['token', key], `preset ${preset} needs it`);
    }
  if (token?.dynamicClients === true && preset !== 'hyprmcp')
    issue(['token', 'dynamicClients'], 'goes with preset hyprmcp');
  if (token?.secret !== undefined && preset !== 'authentik') issue(['token', 'secret'], 'goes with preset authentik');
  for (const key of ['signers', 'keysUrl'] as const)
    if (token?.[key] !== undefined && preset !== 'aws-alb') issue(['token', key], 'goes with preset aws-alb');
}
