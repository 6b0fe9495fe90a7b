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
  if (document.issuer !== issuer) throw new Error(`${url} is about another issuer than ${issuer}`);
  const endpoint = document[name];
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new Error(`${url} has no usable ${name}`);
  // Without TLS only where the operator has it so.
  const plain = new URL(endpoint).protocol === 'http:' && new URL(endpoint).origin !== new URL(url).origin;
  if (new URL(issuer).protocol === 'https:' && plain) throw new Error(`${url} names a ${name} without TLS`);
  return endpoint;
}
