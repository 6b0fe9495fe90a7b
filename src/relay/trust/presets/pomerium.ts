import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { RemoteKeys } from '../remote-keys.ts';
import type { Preset } from './preset.ts';
import { claimText, SignedToken } from './signed-token.ts';
import { type PresetDeps, tokenOf } from './wiring.ts';

const JWT = 'X-Pomerium-Jwt-Assertion';
/** What `jwt_claims_headers` makes of single claims by its usual names. */
const CLAIM_HEADERS = { 'X-Pomerium-Claim-Email': 'email', 'X-Pomerium-Claim-Sub': 'sub' } as const;

/**
 * Pomerium with `pass_identity_headers`: ES256. Audience and, since 0.22, issuer are the host of the route, with
 * `jwt_issuer_format: uri` as an address; older ones name the authentication service, which `issuer` can say.
 */
export function pomerium(trust: TrustConfig, deps: PresetDeps): Preset {
  const token = tokenOf(trust);
  const { issuer, audiences = [], jwksUrl = '' } = token;
  const keys = new RemoteKeys(() => jwksUrl, deps);
  const signed = new SignedToken({
    header: JWT,
    algorithms: ['ES256'],
    getKey: keys.getKey,
    issuer: issuer ?? audiences.flatMap((host) => [host, `https://${host}`, `https://${host}/`]),
    audience: audiences,
    token,
    now: deps.now,
    beside: Object.entries(CLAIM_HEADERS).map(([header, claim]) => ({
      header,
      of: (claims) => claimText(claims, claim),
    })),
  });
  return {
    userHeader: JWT,
    names: [JWT, ...Object.keys(CLAIM_HEADERS)],
    signature: `${JWT} for ${audiences.join(', ')}`,
    read: (get) => signed.read(get),
    ready: () => keys.ready(),
  };
}
