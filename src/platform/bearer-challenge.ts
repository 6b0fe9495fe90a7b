/** Parameters of a challenge: RFC 6750 §3, RFC 9728 §5.1. */
export interface BearerChallenge {
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined;
  readonly error_description?: string | undefined;
  readonly resource_metadata?: string | undefined;
  readonly scope?: string | undefined;
}

const ORDER = ['error', 'error_description', 'resource_metadata', 'scope'] as const;

/** The value of a `WWW-Authenticate` header. What is empty is left out. */
export function bearerChallenge(parameters: BearerChallenge): string {
  const written = ORDER.flatMap((name) => {
    const value = parameters[name];
    return value === undefined || value === '' ? [] : [`${name}="${quotable(value)}"`];
  });
  return `Bearer ${written.join(', ')}`.trim();
}

/** RFC 6750 §3: neither quotes nor backslashes in these values. */
function quotable(value: string): string {
  return value.replace(/[^\x20-\x7e]|["\\]/g, '');
}
