import { DependencyUnavailable } from './errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no server listens there',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up now',
  ECONNRESET: 'the connection was ended',
  UND_ERR_SOCKET: 'the connection was ended',
  ETIMEDOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no answer in time',
  EHOSTUNREACH: 'there is no way to that address',
  ENETUNREACH: 'there is no way to that address',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'its certificate is signed by itself: name the authority (NODE_EXTRA_CA_CERTS, `caPath`)',
  SELF_SIGNED_CERT_IN_CHAIN: 'the authority of its certificate is not known (NODE_EXTRA_CA_CERTS, `caPath`)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the authority of its certificate is not known (NODE_EXTRA_CA_CERTS, `caPath`)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the authority of its certificate is not known (NODE_EXTRA_CA_CERTS, `caPath`)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names',
  EPROTO: 'it does not speak TLS there',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there',
};

/** Why nobody answered, in words, from the innermost error that says so. */
export function plainReason(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, errors } = at as NodeJS.ErrnoException & { errors?: unknown[] };
    if (at.name === 'TimeoutError') return 'no answer in time';
    const [first] = errors ?? [];
    if (first !== undefined && code === undefined) return plainReason(first);
    if (typeof code === 'string') return REASONS[code] === undefined ? code : `${REASONS[code]} (${code})`;
  }
  return error instanceof Error ? error.message : 'unknown';
}

/**
 * Why something that Postern depends on failed, in one line without a stack: a service that is away fails many requests alike. What
 * only says that it is away is left out for what it was caused by.
 */
export function failureText(error: unknown): string {
  if (error instanceof DependencyUnavailable && error.cause !== undefined) return failureText(error.cause);
  if (!(error instanceof Error)) return String(error);
  const reason = plainReason(error);
  return error.message.includes(reason) ? error.message : `${error.message}: ${reason}`;
}
