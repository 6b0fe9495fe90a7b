import type Provider from 'oidc-provider';
import { BoundedCache } from '../../../platform/bounded-cache.ts';
import { isDocument } from './client-metadata.ts';
import { oidcErrors } from './oidc-library.ts';

/** Addresses that are remembered. */
const MAX_BAD = 1_000;

/**
 * Remembers which documents were bad: oidc-provider keeps good ones only, so anybody could have a bad one fetched again and again.
 * What did not come at all is asked for anew.
 *
 * @param duration milliseconds
 */
export function rememberBadDocuments({ Client }: Provider, duration: number): void {
  const bad = new BoundedCache<string, Error>({ max: MAX_BAD, ttl: duration });
  const find = Client.find.bind(Client);
  Client.find = async (id) => {
    if (!isDocument(id)) return find(id);
    const known = bad.get(id);
    if (known !== undefined) throw known;
    try {
      return await find(id);
    } catch (error) {
      if (isBad(error)) bad.set(id, error);
      throw error;
    }
  };
}

function isBad(error: unknown): error is Error {
  const { InvalidClientMetadata } = oidcErrors();
  return error instanceof InvalidClientMetadata || (error instanceof Error && error.cause instanceof SyntaxError);
}
