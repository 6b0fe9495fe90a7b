import type { Credential } from '../../identity/credential.ts';
import type { Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import type { EmittedPreset, LimitedBy } from '../../platform/config/schema.ts';
import type { DenialCause } from './denial-cause.ts';

/** Every reason there is. Stable: a metric label, a log field, and what `postern explain` prints. */
export const REASONS = {
  allow: ['authorized', 'public', 'preflight', 'metadata', 'sign_in', 'oauth'],
  challenge: [
    'no_credential',
    'token_malformed',
    'token_header',
    'token_type',
    'token_issuer',
    'token_algorithm',
    'token_key',
    'token_signature',
    'token_expired',
    'token_not_yet_valid',
    'token_audience',
    'token_client',
    'token_bound',
    'token_claims',
    'token_inactive',
    'session_ended',
    'api_key',
    'client_certificate',
  ],
  redirect: ['sign_in', 'wrong_address', 'home'],
  limit: ['rate_limited'],
  deny: [
    'untrusted_proxy',
    'forwarded_headers',
    'ambiguous_target',
    'no_rule',
    'no_metadata',
    'not_allowed',
    'user_suspended',
    'insufficient_scope',
    'mcp_headers',
    'origin',
    'credential_duplicated',
    'credential_in_query',
    'credential_too_large',
    'credential_conflict',
    'certificate_untrusted',
    'identity_too_large',
  ],
  unavailable: ['dependency', 'overloaded', 'internal_error'],
} as const;

export type AllowReason = (typeof REASONS.allow)[number];
export type ChallengeReason = (typeof REASONS.challenge)[number];
export type DenyReason = (typeof REASONS.deny)[number];
export type UnavailableReason = (typeof REASONS.unavailable)[number];

/** Let it through as this identity. The only decision that becomes a 2xx. */
export interface Allow {
  readonly kind: 'allow';
  readonly reason: AllowReason;
  readonly identity: Identity;
  readonly credential?: Credential | undefined;
  readonly rule: string;
  /** `Set-Cookie` values for the browser, such as a session's renewed cookie. */
  readonly cookies?: readonly string[] | undefined;
  /** What of the request's `Cookie` may go on upstream; undefined: it holds nothing of ours. */
  readonly upstreamCookie?: string | undefined;
  /** Names of other products by which the identity is sent as well. */
  readonly emit?: readonly EmittedPreset[] | undefined;
  /** What the relay must still ask of the message in the body. */
  readonly demand?: OperationDemand | undefined;
}

/** 302 to the sign-in page or another page of ours, for a person's navigation (Fetch `Sec-Fetch-Mode: navigate`). */
export interface Redirect {
  readonly kind: 'redirect';
  readonly reason: (typeof REASONS.redirect)[number];
  readonly location: string;
  /** With `wrong_address`: the addresses at which people sign in, for the log. */
  readonly expected?: string;
  readonly cookies?: readonly string[];
  readonly rule: string;
}

/** 429 with `Retry-After` and the `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers). */
export interface Limit {
  readonly kind: 'limit';
  readonly reason: (typeof REASONS.limit)[number];
  readonly by: LimitedBy;
  /** Requests in one window. */
  readonly limit: number;
  /** Milliseconds. */
  readonly window: number;
  /** Milliseconds until requests are let through again. */
  readonly resetIn: number;
  readonly rule: string;
}

/** 401 with a `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1). */
export interface Challenge {
  readonly kind: 'challenge';
  readonly reason: ChallengeReason;
  readonly description: string;
  /** All scopes that the operation needs. */
  readonly scopes: readonly string[];
  /** Address of the protected-resource metadata; undefined where the path belongs to no described resource. */
  readonly metadataUrl: string | undefined;
  /** Where a person could sign in, for single-page apps; undefined where nobody can. */
  readonly signInUrl?: string;
  /** The origin of a page elsewhere that may read this with its cookies. */
  readonly corsOrigin?: string;
  readonly cookies?: readonly string[];
  readonly rule: string;
}

/** A final no. */
export interface Deny {
  readonly kind: 'deny';
  readonly status: 400 | 403 | 404 | 431;
  readonly reason: DenyReason;
  readonly description: string;
  /** With `insufficient_scope`: what a better token would need (RFC 6750 §3.1). */
  readonly step?: { readonly scopes: readonly string[]; readonly metadataUrl: string | undefined };
  readonly rule: string;
  /** Whose credential it was; undefined where none was read. */
  readonly identity?: Identity;
  /** For the log, the audit log and `postern explain`; never for the client. */
  readonly cause?: DenialCause;
}

/** Postern cannot tell now: 503, never a pass and never a sign-out. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly reason: UnavailableReason;
  readonly description: string;
}

export type Decision = Allow | Challenge | Redirect | Deny | Limit | Unavailable;

/** @param rule empty where none took part */
export function deny(
  status: Deny['status'],
  reason: DenyReason,
  description: string,
  rule = '',
  known: Pick<Deny, 'identity' | 'cause'> = {},
): Deny {
  return { kind: 'deny', status, reason, description, rule, ...known };
}

/** Whoever asks is not the proxy. */
export const UNTRUSTED = deny(
  403,
  'untrusted_proxy',
  'this peer is not in auth.trustedProxies, or shows no certificate of auth.trustedCertificates',
);

/** Whether somebody may look for the reason: a client that shows no credential yet, or is sent to sign in, was refused nothing. */
export function isDenial(decision: Decision): boolean {
  switch (decision.kind) {
    case 'allow':
    case 'redirect':
      return false;
    case 'challenge':
      return decision.reason !== 'no_credential';
    case 'deny':
    case 'limit':
    case 'unavailable':
      return true;
    default:
      return decision satisfies never;
  }
}
