import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { RemoteKeys } from '../remote-keys.ts';
import type { Preset } from './preset.ts';
import { claimText, SignedToken } from './signed-token.ts';
import { type PresetDeps, tokenOf } from './wiring.ts';

const JWT = 'X-Goog-Iap-Jwt-Assertion';
const EMAIL = 'X-Goog-Authenticated-User-Email';
const ID = 'X-Goog-Authenticated-User-Id';

/** Google's Identity-Aware Proxy: ES256, one issuer and one key set for everybody; `aud` tells whose backend it is. */
export function googleIap(trust: TrustConfig, deps: PresetDeps): Preset {
  const token = tokenOf(trust);
  const {
    issuer = 'https://cloud.google.com/iap',
    audiences = [],
    jwksUrl = 'https://www.gstatic.com/iap/verify/public_key-jwk',
  } = token;
  const keys = new RemoteKeys(() => jwksUrl, deps);
  const signed = new SignedToken({
    header: JWT,
    algorithms: ['ES256'],
    getKey: keys.getKey,
    issuer,
    audience: audiences,
    token,
    now: deps.now,
    beside: [
      { header: EMAIL, of: (claims) => withNamespace(claimText(claims, 'email')) },
      { header: ID, of: (claims) => withNamespace(claimText(claims, 'sub')) },
    ],
  });
  return {
    userHeader: JWT,
    names: [JWT, EMAIL, ID],
    signature: `${JWT} for ${audiences.join(', ')}`,
    read: (get) => signed.read(get),
    ready: () => keys.ready(),
  };
}

/** The plain headers name the namespace, as in `accounts.google.com:alice@example.com`; the claims do not always. */
function withNamespace(values: readonly string[]): string[] {
  return values.flatMap((value) => [value, `accounts.google.com:${value}`]);
}
