import { classifyHeader } from '../../../identity/headers.ts';
import { BoundedCache } from '../../../platform/bounded-cache.ts';

/** Names remembered, and characters of the longest: names are the client's choice. */
const MAX_NAMES = 1_000;
const MAX_LENGTH = 100;

/** Whether a name, as it is written, claims an identity. Clients send the same few names again and again. */
const known = new BoundedCache<string, boolean>({ max: MAX_NAMES });

/**
 * The names in lower case by which a client claims an identity, in any spelling.
 *
 * @param received the client's headers, name and value alternating
 */
export function claimedNames(received: readonly string[]): readonly string[] {
  let claimed: string[] | undefined;
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] as string;
    if (!claimsIdentity(name)) continue;
    claimed ??= [];
    claimed.push(name.toLowerCase());
  }
  return claimed ?? NONE;
}

const NONE: readonly string[] = [];

function claimsIdentity(name: string): boolean {
  let claims = known.get(name);
  if (claims === undefined) {
    claims = !name.startsWith(':') && classifyHeader(name) !== 'none';
    if (name.length <= MAX_LENGTH) known.set(name, claims);
  }
  return claims;
}
