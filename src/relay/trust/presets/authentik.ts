import { createSecretKey, type KeyObject } from 'node:crypto';
import type { TrustConfig, TrustTokenConfig } from '../../../platform/config/trust-schema.ts';
import type { KeySource } from '../keys.ts';
import { RemoteKeys } from '../remote-keys.ts';
import { namesOf, plainPreset } from './plain-headers.ts';
import type { Preset } from './preset.ts';
import { claimText, SignedToken } from './signed-token.ts';
import type { PresetDeps } from './wiring.ts';

const JWT = 'X-Authentik-Jwt';
const UID = 'X-Authentik-Uid';
const HEADERS = {
  user: 'X-Authentik-Username',
  email: 'X-Authentik-Email',
  name: 'X-Authentik-Name',
  groups: 'X-Authentik-Groups',
  groupsDelimiter: '|',
} as const;

/**
 * authentik's proxy outpost and embedded outpost. Its headers are worth what the proxy's proof is worth; with
 * `relay.trust.token` its JWT must be there and speaks instead. `X-Authentik-Meta-Jwks` names an address that keys could
 * be fetched from, and is never followed.
 */
export function authentik({ token, userHeader }: TrustConfig, deps: PresetDeps): Preset {
  if (token === undefined) {
    const plain = { ...HEADERS, user: userHeader ?? HEADERS.user };
    return { ...plainPreset(plain), names: [...namesOf(plain), ...namesOf(HEADERS), UID, JWT] };
  }
  const keys = token.secret === undefined ? keySet(token, deps) : undefined;
  const signed = new SignedToken({
    header: JWT,
    algorithms: keys === undefined ? ['HS256'] : ['RS256', 'ES256', 'ES384', 'ES512'],
    getKey: keys === undefined ? sharedKeys(token.secret ?? []) : keys.getKey,
    ...(token.issuer === undefined ? {} : { issuer: token.issuer }),
    audience: token.audiences ?? [],
    token,
    now: deps.now,
    beside: [
      { header: HEADERS.user, of: (claims) => claimText(claims, 'preferred_username') },
      { header: HEADERS.email, of: (claims) => claimText(claims, 'email') },
      { header: UID, of: (claims) => claimText(claims, 'sub') },
    ],
  });
  return {
    userHeader: JWT,
    names: [...namesOf(HEADERS), UID, JWT],
    signature: `${JWT} for ${token.audiences?.join(', ')}`,
    read: (get) => signed.read(get),
    ...(keys === undefined ? {} : { ready: () => keys.ready() }),
  };
}

function keySet({ jwksUrl, issuer }: TrustTokenConfig, deps: PresetDeps): KeySource {
  return new RemoteKeys(() => jwksUrl ?? `${issuer?.replace(/\/?$/, '/')}jwks/`, deps);
}

/** A provider without a signing key signs with its client secret. */
function sharedKeys(secrets: readonly string[]): readonly KeyObject[] {
  return secrets.map((secret) => createSecretKey(secret, 'utf8'));
}
