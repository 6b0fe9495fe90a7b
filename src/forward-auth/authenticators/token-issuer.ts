import type { GroupClaims } from '../../identity/group-claims.ts';
import type { Identity } from '../../identity/identity.ts';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import type { ProviderKeys } from './provider-keys.ts';

/** What checking a token needs to know of its issuer. */
export interface TokenIssuerConfig extends Readonly<Pick<ProviderConfig, 'id' | 'issuer' | 'clockTolerance'>> {
  /** Of our own client there. */
  readonly clientId?: string | undefined;
  readonly algorithms: readonly string[];
  readonly types: readonly string[];
  readonly audiences: readonly string[];
  readonly serverAudiences: Readonly<Record<string, readonly string[]>>;
  readonly authorizedParties: readonly string[];
  readonly clientAsAudience: boolean;
  readonly claims: Readonly<Omit<ProviderConfig['claims'], 'scopes' | keyof GroupClaims>> &
    GroupClaims & { readonly scopes: readonly string[] };
}

/** An issuer of access tokens and where its keys are: a provider of the configuration, or Postern itself. */
export interface TokenIssuer {
  readonly config: TokenIssuerConfig;
  readonly keys: Pick<ProviderKeys, 'loaded' | 'failing' | 'find' | 'search' | 'refresh' | 'close'>;
  /** Whether a verified token was taken back since; asked for each request. Absent: this issuer takes none back. */
  isOver?(claims: Readonly<Record<string, unknown>>): boolean;
  /** From `credentialHandle`, of a token that can be taken back. Absent: this issuer takes none back. */
  handleOf?(claims: Readonly<Record<string, unknown>>): string | undefined;
  /** @returns undefined where the claims name nobody */
  identityOf(claims: Readonly<Record<string, unknown>>): Identity | undefined;
}
