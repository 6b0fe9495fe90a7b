import { LRUCache } from 'lru-cache';
import type { Identity } from '../../identity/identity.ts';

/** Identities remembered; the least recently seen one goes first. */
const MAX = 10_000;

/**
 * One object for each identity, however many tokens carry it. What was made for the object, such as a signed assertion,
 * is then at hand for the next token of the same person with the same groups and scopes.
 */
export class IdentityPool {
  readonly #known = new LRUCache<string, Identity>({ max: MAX });

  /** @returns an identity equal to the given one in every field */
  intern(identity: Identity): Identity {
    const { subject, email, name, groups, scopes, method, issuer } = identity;
    const key = JSON.stringify([subject, email, name, groups, scopes, method, issuer]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, identity);
    return identity;
  }
}
