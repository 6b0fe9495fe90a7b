import type { Config } from './schema.ts';

/** Characters: of letters and digits about 95 bits, which nobody guesses, however many are tried; `postern secrets` makes 43. */
export const SHORTEST_SECRET = 16;

/** Secrets of Postern's own that whoever reaches a port could guess: the start says it. `check` and `doctor` judge all secrets, and say more. */
export function secretWarnings({ auth, relay }: Pick<Config, 'auth' | 'relay'>): string[] {
  const secrets = {
    'auth.operatorToken': auth.operatorToken,
    'auth.broker.registration.initialAccessToken': auth.broker.registration.initialAccessToken,
    'relay.operatorToken': relay.operatorToken,
    'relay.trust.secret': relay.trust.secret,
  };
  return Object.entries(secrets).flatMap(([key, texts = []]) => {
    const shortest = Math.min(...texts.map((text) => text.length));
    if (shortest >= SHORTEST_SECRET) return [];
    return `${key}: a secret of ${shortest} characters can be guessed; take ${SHORTEST_SECRET} or more, such as \`postern secrets\` makes`;
  });
}
