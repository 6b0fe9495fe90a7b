import type { Identity } from '../../../identity/identity.ts';
import { digestOf } from '../../../platform/digest.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import type { RecordStore } from '../../../stores/stores.ts';
import { redirectKind, stableRedirect } from './redirect-uris.ts';

/** What is consented to, and by whom. */
export interface ConsentSubject {
  readonly identity: Pick<Identity, 'issuer' | 'subject'>;
  readonly client: string;
  readonly redirectUri: string;
  readonly resource: string;
}

export interface ConsentsDependencies {
  readonly records: RecordStore;
  readonly sealing: Sealing;
  readonly now: () => number;
  /** Milliseconds. */
  readonly remember: number;
}

/**
 * Consent that need not be asked for again, bound to person, client, redirect and resource. Only where the redirect is https:
 * of a program on the person's machine nobody knows that it is the same one again (RFC 8252 §8.6), and any page could start it.
 */
export class Consents {
  readonly #deps: ConsentsDependencies;

  constructor(deps: ConsentsDependencies) {
    this.#deps = deps;
  }

  async covers(subject: ConsentSubject, scopes: readonly string[]): Promise<boolean> {
    if (redirectKind(subject.redirectUri) !== 'https') return false;
    const key = keyOf(subject);
    const entry = await this.#deps.records.read(key);
    const text = entry && this.#deps.sealing.open(purpose(key), entry.value);
    if (text === undefined) return false;
    const consented = JSON.parse(text.toString('utf8')) as string[];
    return scopes.every((scope) => consented.includes(scope));
  }

  async remember(subject: ConsentSubject, scopes: readonly string[]): Promise<void> {
    if (redirectKind(subject.redirectUri) !== 'https') return;
    const { records, sealing, now, remember } = this.#deps;
    const key = keyOf(subject);
    const value = sealing.seal(purpose(key), JSON.stringify(scopes));
    await records.create({
      key,
      version: 1,
      value,
      indexes: [term('client', subject.client), personTerm(subject.identity, subject.client)],
      expiresAt: now() + remember,
    });
  }

  forgetClient(client: string): Promise<void> {
    return this.#forget(term('client', client));
  }

  /** What one person consented to for a client. */
  forget(person: ConsentSubject['identity'], client: string): Promise<void> {
    return this.#forget(personTerm(person, client));
  }

  async #forget(index: string): Promise<void> {
    for (const { key } of await this.#deps.records.find(index)) await this.#deps.records.end(key);
  }
}

function keyOf({ identity, client, redirectUri, resource }: ConsentSubject): string {
  return term('consent', [identity.issuer, identity.subject, client, stableRedirect(redirectUri), resource]);
}

function personTerm({ issuer, subject }: ConsentSubject['identity'], client: string): string {
  return term('person and client', [issuer, subject, client]);
}

function purpose(key: string): string {
  return `oauth consent 1 ${key}`;
}

function term(kind: string, value: unknown): string {
  return digestOf(JSON.stringify(['postern oauth consent 1', kind, value]));
}
