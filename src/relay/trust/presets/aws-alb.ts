import type { JWTHeaderParameters } from 'jose';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import type { Claims } from '../claims.ts';
import { LoadBalancerKeys } from '../load-balancer-keys.ts';
import type { Preset } from './preset.ts';
import { claimText, SignedToken } from './signed-token.ts';
import { type PresetDeps, tokenOf } from './wiring.ts';

const JWT = 'X-Amzn-Oidc-Data';
const IDENTITY = 'X-Amzn-Oidc-Identity';

/**
 * An Application Load Balancer that authenticates: ES256, and a `signer` in the token's header. Every load balancer of a
 * region signs with the same service, so that the signer is what tells this one from a stranger's.
 */
export function awsAlb(trust: TrustConfig, deps: PresetDeps): Preset {
  const token = tokenOf(trust);
  const { signers = [], audiences, issuer } = token;
  const keys = new LoadBalancerKeys({ signers, keysUrl: token.keysUrl, ...deps });
  const signed = new SignedToken({
    header: JWT,
    algorithms: ['ES256'],
    getKey: keys.getKey,
    token,
    now: deps.now,
    // Issuer and expiry stand in the header, and in the payload only as far as the user info had them.
    claimsOf: (payload, header) => ({ ...payload, iss: payload.iss ?? header.iss, exp: payload.exp ?? header.exp }),
    check: (claims, header) => mismatch(claims, header, { audiences, issuer }),
    beside: [{ header: IDENTITY, of: (claims) => claimText(claims, 'sub') }],
  });
  return {
    userHeader: JWT,
    names: [JWT, IDENTITY],
    signature: `${JWT} of ${signers.join(', ')}`,
    read: (get) => signed.read(get),
  };
}

function mismatch(
  { iss }: Claims,
  { client }: JWTHeaderParameters,
  expected: { audiences: readonly string[] | undefined; issuer: string | undefined },
): string | undefined {
  if (expected.issuer !== undefined && iss !== expected.issuer) return 'it is of another issuer';
  if (expected.audiences !== undefined && !expected.audiences.includes(String(client)))
    return 'its "client" is none of relay.trust.token.audiences';
  return undefined;
}
