import type { Identity } from '../../../identity/identity.ts';
import type { RefusalReason } from '../../refusal.ts';

/** Headers of one request by lower-case name; none of the preset's own came twice. */
export type Lookup = (lowerCaseName: string) => string | undefined;

/** What a proxy's headers say. `fix` tells the operator what to look at. */
export type Reading =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'read';
      readonly identity: Identity;
      /** Unix time in milliseconds at which the credential ends; absent: only the proxy knows. */
      readonly expiresAt?: number;
    }
  | {
      readonly kind: 'refused';
      readonly reason: RefusalReason;
      readonly fix: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** How one product passes an identity on. Read only after the proxy has proved itself. */
export interface Preset {
  /** The header that is looked for first, as it is written in messages. */
  readonly userHeader: string;
  /** Every header that it reads: none may come twice, under an alias, or named by `Connection`. */
  readonly names: readonly string[];
  /** What a signature proves, for the log at start; absent: nothing is signed. */
  readonly signature?: string;
  /** @throws DependencyUnavailable where keys cannot be had */
  read(get: Lookup): Reading | Promise<Reading>;
  /** Answers what is wrong in a few words, or undefined where everything needed can be had. */
  ready?(): Promise<string | undefined>;
}

export const ABSENT: Reading = { kind: 'absent' };

/** @param headers of the answer */
export function refused(reason: RefusalReason, fix: string, headers?: Readonly<Record<string, string>>): Reading {
  return { kind: 'refused', reason, fix, ...(headers === undefined ? {} : { headers }) };
}
