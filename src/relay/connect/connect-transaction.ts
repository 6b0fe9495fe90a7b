import { randomBytes } from 'node:crypto';
import { type Identity, ownerKey } from '../../identity/identity.ts';
import { digestOf } from '../../platform/digest.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { Locks } from '../../stores/stores.ts';

/** One account about to be connected. It lives in `state` alone, sealed, and is worth something to its owner only. */
export interface ConnectTransaction {
  readonly server: string;
  readonly issuer: string;
  readonly owner: string;
  readonly verifier: string;
  readonly nonce: string;
  /** Unix time in milliseconds. */
  readonly at: number;
}

export type ConnectTransactionResult =
  | { readonly kind: 'good'; readonly attempt: ConnectTransaction }
  | { readonly kind: 'expired' | 'spent' }
  /** Sealed by nobody we know, or begun by somebody else or for another server. */
  | { readonly kind: 'foreign' };

const PURPOSE = 'upstream attempt';
const FORM = 'upstream form';
/** Milliseconds for which the form of a page can be sent. */
const FORM_LIFETIME = 3_600_000;

/** State of connecting, and the tokens of our own forms: both bound to the person, whom the proxy names each time. */
export class ConnectTransactions {
  readonly #sealing: Sealing;
  readonly #locks: Pick<Locks, 'once'>;
  readonly #lifetime: number;
  readonly #now: () => number;

  /** @param lifetime milliseconds */
  constructor(sealing: Sealing, locks: Pick<Locks, 'once'>, lifetime: number, now: () => number) {
    this.#sealing = sealing;
    this.#locks = locks;
    this.#lifetime = lifetime;
    this.#now = now;
  }

  begin(
    identity: Identity,
    server: string,
    issuer: string,
  ): { readonly attempt: ConnectTransaction; readonly state: string } {
    const random = () => randomBytes(32).toString('base64url');
    const attempt = {
      server,
      issuer,
      owner: ownerKey(identity),
      verifier: random(),
      nonce: random(),
      at: this.#now(),
    };
    return { attempt, state: this.#sealing.seal(PURPOSE, JSON.stringify(attempt)) };
  }

  /** Each state is good once. @throws DependencyUnavailable */
  async open(state: string, identity: Identity, server: string): Promise<ConnectTransactionResult> {
    const text = this.#sealing.open(PURPOSE, state);
    if (text === undefined) return { kind: 'foreign' };
    const attempt = JSON.parse(text.toString()) as ConnectTransaction;
    if (attempt.owner !== ownerKey(identity) || attempt.server !== server) return { kind: 'foreign' };
    const age = this.#now() - attempt.at;
    // Replicas' clocks may differ a little.
    if (age > this.#lifetime || age < -60_000) return { kind: 'expired' };
    const name = `upstream attempt ${digestOf(state)}`;
    return (await this.#locks.once(name, this.#lifetime)) ? { kind: 'good', attempt } : { kind: 'spent' };
  }

  formToken(identity: Identity, server: string): string {
    return this.#sealing.seal(formPurpose(identity, server), String(this.#now()));
  }

  isOwnForm(token: string, identity: Identity, server: string): boolean {
    const text = this.#sealing.open(formPurpose(identity, server), token);
    const age = text === undefined ? Number.NaN : this.#now() - Number(text.toString());
    return age <= FORM_LIFETIME && age >= -60_000;
  }
}

function formPurpose(identity: Identity, server: string): string {
  return JSON.stringify([FORM, ownerKey(identity), server]);
}
