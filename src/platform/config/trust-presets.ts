/** How the request of a preset is proved, beside what `relay.trust` asks of every proxy. */
type Proof =
  /** Address, secret or certificate. */
  | 'proxy'
  /** Secret or certificate: the addresses are those of a provider's other customers too. */
  | 'not-address'
  /** Another program of this machine. */
  | 'loopback'
  /** A token that somebody signed. */
  | 'token';

interface PresetTraits {
  readonly proof: Proof;
  /** Whether the names of the headers are the operator's choice. */
  readonly ownNames: boolean;
  /** What of `relay.trust.token` it needs, beyond what is the same everywhere. */
  readonly token: readonly TokenKey[] | 'optional' | 'none';
}

type TokenKey = 'issuer' | 'audiences' | 'jwksUrl' | 'signers';

/** The products whose word the relay can take, by the names of `relay.trust.preset`. */
export const TRUST_PRESETS = {
  postern: { proof: 'proxy', ownNames: false, token: 'none' },
  headers: { proof: 'proxy', ownNames: true, token: 'none' },
  'oauth2-proxy': { proof: 'proxy', ownNames: false, token: 'none' },
  authelia: { proof: 'proxy', ownNames: false, token: 'none' },
  hyprmcp: { proof: 'token', ownNames: false, token: ['issuer', 'audiences'] },
  traefik: { proof: 'proxy', ownNames: true, token: 'none' },
  istio: { proof: 'proxy', ownNames: true, token: 'none' },
  'cloudflare-access': { proof: 'token', ownNames: false, token: ['issuer', 'audiences'] },
  'aws-api-gateway': { proof: 'not-address', ownNames: true, token: 'none' },
  'aws-alb': { proof: 'token', ownNames: false, token: ['signers'] },
  'google-iap': { proof: 'token', ownNames: false, token: ['audiences'] },
  pomerium: { proof: 'token', ownNames: false, token: ['audiences', 'jwksUrl'] },
  authentik: { proof: 'proxy', ownNames: false, token: 'optional' },
  tailscale: { proof: 'loopback', ownNames: false, token: 'none' },
} as const satisfies Readonly<Record<string, PresetTraits>>;

export type TrustPreset = keyof typeof TRUST_PRESETS;

export const TRUST_PRESET_NAMES = Object.keys(TRUST_PRESETS) as [TrustPreset, ...TrustPreset[]];

/**
 * Presets by the header that `PROXY_USER_HEADER` names. Only those that add nothing to configure: the signed ones need
 * settings that nobody can guess.
 */
const BY_USER_HEADER: ReadonlyMap<string, TrustPreset> = new Map([
  ['x-authenticated-user', 'postern'],
  ['x-auth-request-user', 'oauth2-proxy'],
  ['x-auth-request-email', 'oauth2-proxy'],
  ['x-auth-request-preferred-username', 'oauth2-proxy'],
  ['remote-user', 'authelia'],
  ['x-authentik-username', 'authentik'],
]);

/** The signed header that makes the plain one beside it needless, for the hint at start. */
const SIGNED_INSTEAD: ReadonlyMap<string, TrustPreset> = new Map([
  ['cf-access-authenticated-user-email', 'cloudflare-access'],
  ['x-amzn-oidc-identity', 'aws-alb'],
  ['x-goog-authenticated-user-email', 'google-iap'],
  ['x-goog-authenticated-user-id', 'google-iap'],
  ['x-pomerium-claim-email', 'pomerium'],
]);

interface Chosen {
  readonly preset?: TrustPreset | undefined;
  readonly userHeader?: string | undefined;
}

/**
 * The preset in use. Without one, `userHeader` decides: whoever names another header than ours has another proxy, and
 * our own other headers would then be the client's invention.
 */
export function presetOf({ preset, userHeader }: Chosen): TrustPreset {
  if (preset !== undefined) return preset;
  return userHeader === undefined ? 'postern' : (BY_USER_HEADER.get(userHeader.toLowerCase()) ?? 'headers');
}

/** @returns the preset that would verify a signature where only a plain header is read now */
export function signedAlternative(trust: Chosen): TrustPreset | undefined {
  return presetOf(trust) === 'headers' ? SIGNED_INSTEAD.get(trust.userHeader?.toLowerCase() ?? '') : undefined;
}

/** Whether a request proves itself by a signature, so that it may come from any address. */
export function isSigned(trust: Chosen & { readonly token?: object | undefined }): boolean {
  const { proof, token } = TRUST_PRESETS[presetOf(trust)];
  return proof === 'token' || (token === 'optional' && trust.token !== undefined);
}
