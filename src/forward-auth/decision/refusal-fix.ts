import type { Cause } from '../../identity/denial-cause.ts';
import type { ChallengeReason, Decision } from './decision.ts';

const SET_CLOCKS =
  'set the clocks of the provider and of this machine by NTP, or raise clockTolerance of the provider in auth.providers';

/** What an operator, or whoever runs the client, does about a credential that is refused. */
const FIXES: Readonly<Record<ChallengeReason, string>> = {
  // Every client begins so; what the proxy must pass on is not known to be missing.
  no_credential: '',
  token_malformed: 'the client must send the access token as the provider gave it',
  token_header: 'the provider must issue tokens without it',
  token_type: 'the client must send the access token',
  token_issuer:
    'write `issuer` of the provider in auth.providers exactly as the claim `iss` has it, or add the provider',
  token_algorithm: 'add it to `algorithms` of the provider in auth.providers if it is meant',
  token_key: 'compare the keys at jwksUri of the provider in auth.providers with the `kid` of the token',
  token_signature: 'another server than the provider signed it: look where the client got it',
  token_expired: `the client must get a new one; if it is new, ${SET_CLOCKS}`,
  token_not_yet_valid: SET_CLOCKS,
  token_audience:
    'the client must ask for a token for this address (RFC 8707), or list the audience in audiences or serverAudiences of the provider in auth.providers',
  token_client: 'add the client to authorizedParties of the provider in auth.providers if its users may come here',
  token_bound: 'have the provider issue bearer tokens to this client',
  token_claims:
    'have the provider put the claim into its tokens, or correct `claims` of the provider in auth.providers',
  token_inactive: 'the client must get a new one: the provider has revoked it, or it has expired',
  session_ended: 'the user signs in again',
  api_key: '`postern api-keys list` shows those that are good, `postern api-keys create` makes one',
  client_certificate: 'compare the certificate with auth.clientCertificates',
};

/** Where people come by another address than the one that sign-in works at. */
export const OPEN_RIGHT_ADDRESS =
  'people open the address in `expected`; if the browser showed it, the proxy must send it as X-Forwarded-Proto and X-Forwarded-Host; other addresses: publicUrl, auth.signIn.origins';

/** What the log, the audit log and the Denials say of a refusal: never for the client. */
export function refusalCause(decision: Decision): Partial<Cause> {
  switch (decision.kind) {
    case 'deny': {
      if (decision.cause === undefined) return { fix: decision.description };
      // Without `missing`, which only chooses the words of the person's page.
      const { needs, has, fix } = decision.cause;
      return { needs, has, fix };
    }
    case 'challenge': {
      const fix = FIXES[decision.reason];
      return fix === '' ? NOTHING : { fix: `${decision.description}: ${fix}` };
    }
    case 'redirect':
      return decision.reason === 'wrong_address' ? { fix: OPEN_RIGHT_ADDRESS } : NOTHING;
    case 'allow':
    case 'limit':
    case 'unavailable':
      return NOTHING;
    default:
      return decision satisfies never;
  }
}

const NOTHING = {};
