import type { ProviderConfig } from './config/schema.ts';

/**
 * How our client proves itself at a provider (RFC 6749 §2.3.1).
 *
 * @param body of the request; where the credentials go into it, they are added
 * @returns headers of the request
 */
export function authenticateClient(
  { clientId = '', clientAuthentication }: Pick<ProviderConfig, 'clientId' | 'clientAuthentication'>,
  secret: string | undefined,
  body: URLSearchParams,
): Record<string, string> {
  const way = clientAuthentication ?? (secret === undefined ? 'none' : 'client_secret_basic');
  if (way === 'client_secret_basic') {
    const pair = `${formEncode(clientId)}:${formEncode(secret ?? '')}`;
    return { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
  }
  body.set('client_id', clientId);
  if (way === 'client_secret_post') body.set('client_secret', secret ?? '');
  return {};
}

/** RFC 6749 Appendix B. */
function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
