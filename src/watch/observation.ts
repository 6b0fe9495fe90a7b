import type { Person } from '../identity/user.ts';

/** What the processes tell the watch. An address that nobody knows is empty. */
export type Observation =
  /** Allowed requests of somebody, from one address. */
  | { readonly kind: 'requests'; readonly person: Person; readonly address: string; readonly count: number }
  | {
      readonly kind: 'sign_in';
      /** As in `postern_sign_ins_total`. */
      readonly outcome: string;
      /** Absent where it failed. */
      readonly person?: Person | undefined;
      readonly address: string;
    }
  /** The rules of forward-auth said no to somebody. */
  | { readonly kind: 'denial'; readonly person: Person; readonly address: string; readonly reason: string }
  /** The relay said no to a message of somebody. */
  | { readonly kind: 'tool_denial'; readonly person: Person; readonly server: string; readonly reason: string }
  /** A credential that is worth nothing, by the reason of the decision. */
  | { readonly kind: 'credential_refused'; readonly reason: string; readonly address: string }
  /** An identity that nobody proved. */
  | { readonly kind: 'forgery'; readonly reason: string; readonly address: string }
  | {
      readonly kind: 'api_key_refused';
      /** Asks whose key it was, where it was good once. @throws DependencyUnavailable */
      readonly ended: () => Promise<{ readonly person: Person; readonly reason: 'revoked' | 'expired' } | undefined>;
      readonly address: string;
    }
  /** A code or refresh token came a second time. */
  | {
      readonly kind: 'token_reuse';
      readonly person?: Person | undefined;
      readonly reason: 'refresh_token' | 'authorization_code';
      readonly address: string;
    }
  | { readonly kind: 'provider_removed'; readonly person: Person; readonly provider: string }
  | { readonly kind: 'operator_refused'; readonly address: string };
