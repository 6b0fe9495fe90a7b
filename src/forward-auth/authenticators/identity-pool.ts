import type { Identity } from '../../identity/identity.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { digestOf } from '../../platform/digest.ts';
import { identityBytes } from '../../platform/retained-bytes.ts';

/** Identities remembered; the least recently seen one goes first. */
const MAX = 10_000;
/** Bytes of all of them: groups are the provider's choice, and as many as it likes. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * One object for each identity, however many tokens carry it. What was made for the object, such as a signed assertion,
 * is then at hand for the next token of the same person with the same groups and scopes.
 */
export class IdentityPool {
  readonly #known = new BoundedCache<string, Identity>({
    max: MAX,
    maxSize: MAX_BYTES,
    sizeCalculation: identityBytes,
  });

  /** @returns an identity equal to the given one in every field */
  intern(identity: Identity): Identity {
    const { subject, username, email, name, groups, scopes, method, issuer } = identity;
    // As long as its groups would the text itself be, for each identity once more.
    const text = JSON.stringify([subject, username, email, name, groups, scopes, method, issuer]);
    const key = digestOf(text);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, identity);
    return identity;
  }
}
