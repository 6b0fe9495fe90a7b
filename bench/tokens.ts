import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** A bounded stock of RS256 access tokens, all valid and all different, and the keys that verify them. */
export interface TokenStock {
  readonly jwks: { keys: JWK[] };
  mint(count: number, audience: string): Promise<string[]>;
  /** Of about 5 KB each, as providers give them to people of a hundred groups, each of another person. */
  mintReal(count: number, audience: string): Promise<string[]>;
}

/** A hundred names of groups, of the length that directories give them. */
export const REAL_GROUPS: readonly string[] = [
  'engineering',
  ...Array.from({ length: 99 }, (_, at) => `cn=team-${at},ou=groups,dc=example`),
];

export async function createTokenStock(issuer: string): Promise<TokenStock> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const kid = 'bench';
  const sign = (number: number, audience: string, subject = 'alice', groups = ['engineering', 'platform']) =>
    new SignJWT({
      email: `${subject}@example.com`,
      name: 'Alice Example',
      groups,
      scope: 'mcp:use',
      jti: String(number),
    })
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey);
  return {
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }] },
    mintReal: (count, audience) =>
      Promise.all(
        Array.from({ length: count }, (_, number) => sign(number, audience, `person-${number}`, [...REAL_GROUPS])),
      ),
    mint: (count, audience) => Promise.all(Array.from({ length: count }, (_, number) => sign(number, audience))),
  };
}
