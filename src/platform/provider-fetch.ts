import type { ProviderConfig } from './config/schema.ts';

/** Where OpenID Connect Discovery §4.1 and RFC 8414 §3.1 look. */
const WELL_KNOWN = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)(?:\/|$)/;

/**
 * How a provider is reached that people reach at its issuer's address and Postern at another (split horizon): its metadata at
 * `discoveryUrl`, and everything else that stands at the issuer's origin at the origin of that address. What is compared stays the
 * issuer. Addresses for browsers are not asked for here and stay as they are.
 */
export function providerFetch(
  { issuer, discoveryUrl }: Pick<ProviderConfig, 'issuer' | 'discoveryUrl'>,
  fetcher: typeof fetch,
): typeof fetch {
  if (discoveryUrl === undefined) return fetcher;
  const outside = new URL(issuer).origin;
  const inside = new URL(discoveryUrl).origin;
  return (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== outside) return fetcher(input, init);
    const moved = WELL_KNOWN.test(url.pathname) ? discoveryUrl : `${inside}${url.pathname}${url.search}`;
    return fetcher(input instanceof Request ? new Request(moved, input) : moved, init);
  };
}
