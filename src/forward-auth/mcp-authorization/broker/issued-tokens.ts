import { credentialHandle } from '../../../identity/credential.ts';
import type { ProviderConfig } from '../../../platform/config/schema.ts';
import type { RevokedCredentials } from '../../../stores/revoked-credentials.ts';
import { readIdentity } from '../../authenticators/token-claims.ts';
import type { TokenIssuer } from '../../authenticators/token-issuer.ts';
import { readAccountId } from './account.ts';
import { SIGNING_ALGORITHM } from './resource-servers.ts';
import type { TokenKeys } from './token-keys.ts';

/** Milliseconds by which the clocks of replicas may differ. */
const CLOCK_TOLERANCE = 5_000;

/**
 * The broker's access tokens as forward-auth takes them: of this type, algorithm and resource only, so that neither an ID token
 * nor an assertion is one. A person is the same as when they sign in themselves: subject and issuer are the provider's.
 */
export function brokerTokens({
  issuer,
  providers,
  keys,
  ended,
}: {
  readonly issuer: string;
  readonly providers: readonly ProviderConfig[];
  readonly keys: TokenKeys;
  readonly ended: Pick<RevokedCredentials, 'has'>;
}): TokenIssuer {
  const config = {
    id: 'mcp-clients',
    issuer,
    algorithms: [SIGNING_ALGORITHM],
    types: ['at+jwt'],
    clockTolerance: CLOCK_TOLERANCE,
    audiences: [],
    serverAudiences: {},
    authorizedParties: [],
    clientAsAudience: false,
    claims: {
      subject: 'sub',
      username: 'username',
      email: 'email',
      name: 'name',
      groups: ['groups'],
      groupName: 'name',
      scopes: ['scope'],
    },
  } as const;
  const issuers = new Map(providers.map((provider) => [provider.id, provider.issuer]));
  return {
    config,
    keys: {
      get loaded() {
        return keys.loaded;
      },
      failing: false,
      find: (kid, alg) => keys.find(kid, alg),
      search: (kid, alg) => keys.search(kid, alg),
      refresh: async () => {},
      close: () => {},
    },
    handleOf,
    isOver: (claims) => {
      const handle = handleOf(claims);
      return handle !== undefined && ended.has(handle);
    },
    identityOf: (claims) => {
      const identity = readIdentity(claims, config);
      // A client's token for itself (RFC 9068 §2.2).
      if (identity === undefined || claims.sub === claims.client_id) return identity;
      const person = readAccountId(claims.sub);
      const home = person && issuers.get(person.provider);
      return person === undefined || home === undefined
        ? undefined
        : { ...identity, subject: person.subject, issuer: home };
    },
  };
}

function handleOf({ grant }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof grant === 'string' ? credentialHandle('grant', grant) : undefined;
}
