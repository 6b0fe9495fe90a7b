import { fetchJson } from './fetch-json.ts';

/**
 * An address out of the provider's discovery document (OpenID Connect Discovery 1.0 §4, RFC 8414 §2).
 *
 * @param discoveryUrl where that document is, if not below the issuer
 * @throws Error where the document is another issuer's (§4.3) or has no such address
 */
export async function discoverEndpoint(
  issuer: string,
  name: 'jwks_uri' | 'introspection_endpoint',
  fetcher: typeof fetch,
  discoveryUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
): Promise<string> {
  const url = discoveryUrl;
  const document = await fetchJson(url, fetcher);
  if (document.issuer !== issuer) throw anotherIssuer(url, issuer, document.issuer);
  const endpoint = document[name];
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new Error(`${url} has no usable ${name}`);
  // Without TLS only where the operator has it so.
  const plain = new URL(endpoint).protocol === 'http:' && new URL(endpoint).origin !== new URL(url).origin;
  if (new URL(issuer).protocol === 'https:' && plain) throw new Error(`${url} names a ${name} without TLS`);
  return endpoint;
}

/**
 * An issuer is compared as text (OpenID Connect Discovery 1.0 §4.3): a slash at its end makes another one.
 *
 * @param named what the document says, which may be anything
 */
export function anotherIssuer(url: string, issuer: string, named: unknown): Error {
  const other = typeof named === 'string' && URL.canParse(named) && named.length <= 512 ? named : undefined;
  const fix = other === undefined ? '' : `: it says ${other}; write \`issuer\` exactly so, if that is your provider`;
  return new Error(`${url} is about another issuer than ${issuer}${fix}`);
}
