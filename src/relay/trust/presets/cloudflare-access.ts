import type { Identity } from '../../../identity/identity.ts';
import { ANONYMOUS } from '../../../identity/identity.ts';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import type { Claims } from '../claims.ts';
import { RemoteKeys } from '../remote-keys.ts';
import type { Preset } from './preset.ts';
import { claimText, SignedToken } from './signed-token.ts';
import { type PresetDeps, tokenOf } from './wiring.ts';

const JWT = 'Cf-Access-Jwt-Assertion';
const EMAIL = 'Cf-Access-Authenticated-User-Email';

/**
 * Cloudflare Access: the application's token, signed with RS256 by the team's keys. The header with the address can be
 * sent by anybody who reaches the origin, so that it may only agree.
 */
export function cloudflareAccess(trust: TrustConfig, deps: PresetDeps): Preset {
  const token = tokenOf(trust);
  const { issuer = '', audiences = [], jwksUrl } = token;
  const keys = new RemoteKeys(() => jwksUrl ?? `${issuer.replace(/\/$/, '')}/cdn-cgi/access/certs`, deps);
  const signed = new SignedToken({
    header: JWT,
    algorithms: ['RS256'],
    getKey: keys.getKey,
    issuer,
    audience: audiences,
    token,
    now: deps.now,
    beside: [{ header: EMAIL, of: (claims) => claimText(claims, 'email') }],
    other: serviceToken,
  });
  return {
    userHeader: JWT,
    names: [JWT, EMAIL],
    signature: `${JWT} of ${issuer}`,
    read: (get) => signed.read(get),
    ready: () => keys.ready(),
  };
}

/** A service token has an empty `sub`, no address, and its client id as `common_name`. */
function serviceToken(claims: Claims): Identity | undefined {
  const [name = ''] = claimText(claims, 'common_name');
  // The common name of a client certificate comes the same way, and might be written to look like a person's address.
  if (name === '' || name.includes('@')) return undefined;
  return { ...ANONYMOUS, subject: name, method: 'api-key', issuer: claimText(claims, 'iss')[0] ?? '' };
}
