import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** A bounded stock of RS256 access tokens, all valid and all different, and the keys that verify them. */
export interface TokenStock {
  readonly jwks: { keys: JWK[] };
  mint(count: number, audience: string): Promise<string[]>;
}

export async function createTokenStock(issuer: string): Promise<TokenStock> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const kid = 'bench';
  const sign = (number: number, audience: string) =>
    new SignJWT({
      email: 'alice@example.com',
      name: 'Alice Example',
      groups: ['engineering', 'platform'],
      scope: 'mcp:use',
      jti: String(number),
    })
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid })
      .setIssuer(issuer)
      .setSubject('alice')
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey);
  return {
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }] },
    mint: (count, audience) => Promise.all(Array.from({ length: count }, (_, number) => sign(number, audience))),
  };
}
