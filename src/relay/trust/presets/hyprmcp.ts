import { decodeJwt } from 'jose';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { JWS_ALGORITHMS } from '../../../platform/config/values.ts';
import { discoverEndpoint } from '../../../platform/discovery.ts';
import type { Claims } from '../claims.ts';
import { RemoteKeys } from '../remote-keys.ts';
import { ABSENT, type Preset } from './preset.ts';
import { SignedToken } from './signed-token.ts';
import { type PresetDeps, tokenOf } from './wiring.ts';

/** The ids that HyprMCP Gateway registers at Dex: 26 characters of base32 (Go's `rand.Text`). */
const REGISTERED = /^[A-Z2-7]{26}$/;

/**
 * HyprMCP Gateway before Dex. It adds no identity header and removes none, and lets every token pass that Dex's keys
 * signed: so the relay verifies the forwarded token itself, issuer and audience included, and reads no header beside it.
 */
export function hyprmcp(trust: TrustConfig, deps: PresetDeps): Preset {
  const token = tokenOf(trust);
  const { issuer = '', jwksUrl } = token;
  const keys = new RemoteKeys(() => jwksUrl ?? discoverEndpoint(issuer, 'jwks_uri', deps.fetch ?? fetch), deps);
  const signed = new SignedToken({
    header: 'Authorization',
    algorithms: JWS_ALGORITHMS,
    getKey: keys.getKey,
    issuer,
    token,
    now: deps.now,
    check: (claims) => wrongAudience(claims, token.audiences ?? [], token.dynamicClients),
    bearer: true,
  });
  return {
    userHeader: 'Authorization with a token of Dex',
    names: [],
    signature: `bearer token of ${issuer}`,
    read: (get) => {
      const jwt = /^bearer +(\S+) *$/i.exec(get('authorization') ?? '')?.[1];
      if (jwt === undefined || (deps.jwtEnabled && issuerOf(jwt) !== issuer)) return ABSENT;
      return signed.verify(jwt, get);
    },
    ready: () => keys.ready(),
  };
}

function wrongAudience({ aud }: Claims, accepted: readonly string[], dynamic: boolean): string | undefined {
  const fits = [aud]
    .flat()
    .some((value) => typeof value === 'string' && (accepted.includes(value) || (dynamic && REGISTERED.test(value))));
  return fits ? undefined : 'it is for none of relay.trust.token.audiences';
}

/** Whose token it says it is, unverified: in a migration the relay's own JWTs come in the same header. */
function issuerOf(jwt: string): string | undefined {
  try {
    return decodeJwt(jwt).iss;
  } catch {
    return undefined;
  }
}
