import type { Rejected } from '../decision/authentication.ts';

type BadToken = Extract<Rejected, { status: 401 }>;

/** A bad token. @param description shown to the client (RFC 6750 §3); says nothing that the token does not */
export function rejected(reason: BadToken['reason'], description: string): BadToken {
  return { kind: 'rejected', status: 401, reason, description };
}

/** OpenID Connect Core §2: it is for the client, to learn who signed in, and proves nothing to anybody else. */
export const ID_TOKEN = rejected(
  'token_type',
  'this is an ID token, which is for the client that signed the person in: send an access token for this server',
);

/** A token for a client and without scopes, as ID tokens are. */
export const CLIENT_AUDIENCE = rejected(
  'token_audience',
  'the token is for a client, as ID tokens are: send an access token for this server',
);

export const WRONG_AUDIENCE = rejected('token_audience', 'the token was issued for another resource');
