import { z } from 'zod';
import type { Identity } from '../identity/identity.ts';
import { CountedWarning } from '../platform/counted-warning.ts';
import { digestOf } from '../platform/digest.ts';
import type { Logger } from '../platform/log.ts';
import type { Stores } from './stores.ts';

const COLLECTION = 'suspensions';
const TOPIC = 'suspension';
/** Milliseconds after which a list that could not be read is read again. */
const RETRY = 2_000;

const suspension = z.object({
  /** Subject, username or e-mail address. */
  user: z.string(),
  /** Absent: whoever vouches for them. */
  issuer: z.string().optional(),
  /** Unix time in milliseconds; absent: until it is lifted. */
  until: z.number().optional(),
  reason: z.string().optional(),
  /** Unix time in milliseconds. */
  since: z.number(),
  /** What the user is called, for operators only: `user` and `issuer` say whom it keeps out. */
  username: z.string().optional(),
  email: z.string().optional(),
  name: z.string().optional(),
});

/** A user who is kept out, whatever credential they show. */
export type Suspension = z.output<typeof suspension>;

type Named = Pick<Identity, 'subject' | 'username' | 'email' | 'issuer' | 'method'>;

export interface SuspensionsOptions {
  readonly stores: Pick<Stores, 'documents' | 'pubSub'>;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/**
 * Users who are suspended. Asked for each request, so they are in memory: each change is announced to all processes, and all are
 * read from the store by one that starts or may have missed something.
 */
export class Suspensions {
  readonly #options: SuspensionsOptions;
  /** The store is asked every few seconds. */
  readonly #away: CountedWarning;
  #byName = new Map<string, readonly Suspension[]>();
  readonly #listeners = new Set<(suspended: Suspension) => void>();
  readonly #subscriptions: ReadonlyArray<() => void>;
  #retry: NodeJS.Timeout | undefined;
  #reads = 0;

  constructor(options: SuspensionsOptions) {
    this.#away = new CountedWarning(
      options.log,
      'suspended users cannot be read from the store; those known stay suspended',
    );
    this.#options = options;
    const { pubSub } = options.stores;
    this.#subscriptions = [pubSub.subscribe(TOPIC, () => void this.#read()), pubSub.onGap(() => void this.#read())];
    void this.#read();
  }

  /** @returns the suspension that keeps this identity out; undefined: none does */
  find(identity: Named): Suspension | undefined {
    if (this.#byName.size === 0 || identity.method === 'anonymous') return undefined;
    const now = this.#options.now();
    const found = namesOf(identity).flatMap((name) => this.#byName.get(name) ?? []);
    return found.find((one) => (one.until ?? Number.POSITIVE_INFINITY) > now && isAt(one, identity));
  }

  /** Told of each that begins to apply, whichever process was asked. @returns ends the subscription */
  onSuspend(listener: (suspended: Suspension) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @throws DependencyUnavailable */
  async list(): Promise<Suspension[]> {
    const found = await this.#options.stores.documents.list(COLLECTION);
    const now = this.#options.now();
    return found.map(({ value }) => suspension.parse(JSON.parse(value))).filter((one) => (one.until ?? now) >= now);
  }

  /** In the place of one of the same user and issuer. @throws DependencyUnavailable where not all processes may have been told */
  async suspend(suspended: Suspension): Promise<void> {
    const { documents, pubSub } = this.#options.stores;
    await documents.put(COLLECTION, idOf(suspended), JSON.stringify(suspended), suspended.until);
    await this.#read();
    await pubSub.publish(TOPIC, 'changed');
  }

  /** @returns whether there was one @throws DependencyUnavailable as above */
  async lift(user: string, issuer: string | undefined): Promise<boolean> {
    const { documents, pubSub } = this.#options.stores;
    const lifted = await documents.remove(COLLECTION, idOf({ user, issuer }));
    await this.#read();
    await pubSub.publish(TOPIC, 'changed');
    return lifted;
  }

  close(): void {
    clearTimeout(this.#retry);
    for (const end of this.#subscriptions) end();
    this.#listeners.clear();
  }

  /** What is known stays until the store has answered. The newest answer counts, whichever comes last. */
  async #read(): Promise<void> {
    clearTimeout(this.#retry);
    this.#reads += 1;
    const reading = this.#reads;
    try {
      const all = await this.list();
      if (reading !== this.#reads) return;
      const known = new Set([...this.#byName.values()].flat().map((one) => JSON.stringify(one)));
      this.#byName = byName(all);
      for (const one of all)
        if (!known.has(JSON.stringify(one))) for (const listener of [...this.#listeners]) listener(one);
    } catch (error) {
      this.#away.warn({ error });
      this.#retry = setTimeout(() => void this.#read(), RETRY);
      this.#retry.unref();
    }
  }
}

/** Whether a suspension is for this identity, by subject, username or e-mail address. */
export function keepsOut(one: Suspension, identity: Named): boolean {
  return namesOf(identity).some((name) => namesMeant(one.user).has(name)) && isAt(one, identity);
}

/** Of a user at an issuer that is one of ours, such as an API key's, the name alone counts: it is the operator's own. */
function isAt(one: Suspension, { issuer, method }: Pick<Identity, 'issuer' | 'method'>): boolean {
  return one.issuer === undefined || one.issuer === issuer || method === 'api-key' || method === 'mtls';
}

/** A subject is exact; the case of a username or an e-mail address says nothing. */
function namesOf({ subject, username = '', email }: Named): string[] {
  return [...new Set([subject, username.toLowerCase(), email.toLowerCase()])].filter((name) => name !== '');
}

function namesMeant(user: string): ReadonlySet<string> {
  return new Set([user, user.toLowerCase()]);
}

function byName(all: readonly Suspension[]): Map<string, Suspension[]> {
  const found = new Map<string, Suspension[]>();
  for (const one of all) for (const name of namesMeant(one.user)) found.set(name, [...(found.get(name) ?? []), one]);
  return found;
}

function idOf({ user, issuer }: Pick<Suspension, 'user' | 'issuer'>): string {
  return digestOf(JSON.stringify([user, issuer ?? null]));
}
