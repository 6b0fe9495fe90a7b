import { createHash } from 'node:crypto';
import type { Identity } from '../../identity/identity.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { MigrationConfig } from '../../platform/config/migration-schema.ts';

/** The one way by which a user may come, or both. */
export type MigrationMethod = 'proxy' | 'jwt' | undefined;

/**
 * One person under both names: the old JWTs often have the address as subject, where the provider behind the proxy has an
 * id.
 */
export function personOf({ subject, email }: Pick<Identity, 'subject' | 'email'>): string {
  return (email === '' ? subject : email).toLowerCase();
}

/** Who is held to one way while both are on. */
export class MigrationMethods {
  readonly #byName: ReadonlyMap<string, MigrationMethod>;
  readonly #shares: { readonly proxy: number; readonly jwt: number };
  readonly #buckets = new BoundedCache<string, number>({ max: 10_000 });

  constructor({ proxyOnly, jwtOnly }: MigrationConfig) {
    this.#byName = new Map<string, MigrationMethod>([
      ...proxyOnly.users.map((user): [string, MigrationMethod] => [user.toLowerCase(), 'proxy']),
      ...jwtOnly.users.map((user): [string, MigrationMethod] => [user.toLowerCase(), 'jwt']),
    ]);
    this.#shares = { proxy: proxyOnly.share, jwt: jwtOnly.share };
  }

  /** Whoever is named is held to what the list says; of the others a share. */
  of(identity: Identity): MigrationMethod {
    const person = personOf(identity);
    const named = this.#byName.get(person) ?? this.#byName.get(identity.subject.toLowerCase());
    if (named !== undefined) return named;
    const { proxy, jwt } = this.#shares;
    if (proxy === 0 && jwt === 0) return undefined;
    const bucket = this.#bucket(person);
    if (bucket < proxy) return 'proxy';
    return bucket >= 100 - jwt ? 'jwt' : undefined;
  }

  /** A place between 0 and 100 that is the same in every replica and for ever, so that a growing share only adds people. */
  #bucket(person: string): number {
    let bucket = this.#buckets.get(person);
    if (bucket === undefined) {
      bucket = (createHash('sha256').update(person).digest().readUInt32BE(0) / 2 ** 32) * 100;
      this.#buckets.set(person, bucket);
    }
    return bucket;
  }
}
