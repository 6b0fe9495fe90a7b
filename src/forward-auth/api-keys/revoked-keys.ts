import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Documents } from '../../stores/stores.ts';
import type { ApiKeyRecord } from './api-key-record.ts';
import { type ApiKeyParts, hashSecret } from './key-format.ts';

const COLLECTION = 'ended-api-keys';
/** Milliseconds for which a key is still known after its end. */
const REMEMBERED = 90 * 86_400_000;

const endedKeySchema = z.object({
  subject: z.string(),
  secretHash: z.string().length(43),
  /** Unix time in milliseconds. */
  endsAt: z.number(),
  why: z.enum(['revoked', 'expired']),
});

/** A key that was good once. */
export interface RevokedKey {
  readonly subject: string;
  readonly why: 'revoked' | 'expired';
}

/**
 * Remembers keys beyond their end, so that whoever still uses one can be told from whoever guesses. Nothing is ever let in because
 * of it.
 */
export class RevokedKeys {
  readonly #documents: Documents;
  readonly #now: () => number;

  /** @param now Unix time in milliseconds */
  constructor(documents: Documents, now: () => number) {
    this.#documents = documents;
    this.#now = now;
  }

  /** A key that will end by itself is noted while it is made: nobody sees the moment of its end. */
  async willExpire(record: ApiKeyRecord): Promise<void> {
    if (record.expiresAt !== undefined) await this.#note(record, 'expired', record.expiresAt);
  }

  async revoked(record: ApiKeyRecord): Promise<void> {
    await this.#note(record, 'revoked', this.#now());
  }

  #note({ id, subject, secretHash }: ApiKeyRecord, why: RevokedKey['why'], endsAt: number): Promise<void> {
    return this.#documents.put(
      COLLECTION,
      id,
      JSON.stringify({ subject, secretHash, endsAt, why }),
      endsAt + REMEMBERED,
    );
  }

  /**
   * @returns undefined for a key that never was, or with a wrong secret: an id alone proves nothing
   * @throws DependencyUnavailable
   */
  async find({ id, secret }: ApiKeyParts): Promise<RevokedKey | undefined> {
    const text = await this.#documents.get(COLLECTION, id);
    const ended = text === undefined ? undefined : parse(text);
    if (ended === undefined || this.#now() < ended.endsAt) return undefined;
    const same = timingSafeEqual(Buffer.from(ended.secretHash, 'base64url'), hashSecret(secret));
    return same ? { subject: ended.subject, why: ended.why } : undefined;
  }
}

function parse(text: string): z.output<typeof endedKeySchema> | undefined {
  try {
    return endedKeySchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
