import type { Rejected } from '../decision/authentication.ts';

type BadToken = Extract<Rejected, { status: 401 }>;

/** A bad token. @param description shown to the client (RFC 6750 §3); says nothing that the token does not */
export function rejected(reason: BadToken['reason'], description: string): BadToken {
  return { kind: 'rejected', status: 401, reason, description };
}

export const WRONG_AUDIENCE = rejected('token_audience', 'the token was issued for another resource');
