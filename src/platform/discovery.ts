import { fetchJson } from './fetch-json.ts';

/**
 * An address out of the provider's discovery document (OpenID Connect Discovery 1.0 §4, RFC 8414 §2).
 *
 * @throws Error where the document is another issuer's (§4.3) or has no such address
 */
export async function discoverEndpoint(
  issuer: string,
  name: 'jwks_uri' | 'introspection_endpoint',
  fetcher: typeof fetch,
): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = await fetchJson(url, fetcher);
  if (document.issuer !== issuer) throw new Error(`${url} is about another issuer than ${issuer}`);
  const endpoint = document[name];
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new Error(`${url} has no usable ${name}`);
  if (new URL(issuer).protocol === 'https:' && new URL(endpoint).protocol !== 'https:')
    throw new Error(`${url} names a ${name} without TLS`);
  return endpoint;
}
