import type Provider from 'oidc-provider';
import { OAUTH_TOKEN_PREFIX } from '../../authenticators/own-tokens.ts';

interface WithId {
  generateTokenId(): string;
}

/**
 * Lets codes, refresh tokens and registration access tokens begin with our prefix; access tokens are JWTs. It belongs to the
 * token's id, and tokens without it that were given out before stay good.
 */
export function prefixTokens(provider: Provider): void {
  for (const { prototype } of [provider.AuthorizationCode, provider.RefreshToken, provider.RegistrationAccessToken]) {
    const model = prototype as unknown as WithId;
    const generate = model.generateTokenId;
    model.generateTokenId = function () {
      return `${OAUTH_TOKEN_PREFIX}${generate.call(this)}`;
    };
  }
}
