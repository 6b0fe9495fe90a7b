import type { SecurityEventKind } from '../platform/config/watch-schema.ts';

/** How much it matters when it happens once. */
export type Severity = 'notice' | 'warning' | 'critical';

/** Something unusual that an operator should know of. Fields that do not apply are absent. Never a credential. */
export interface SecurityEvent {
  readonly id: string;
  readonly kind: SecurityEventKind;
  readonly severity: Severity;
  /** Which process saw it. */
  readonly process: 'forward-auth' | 'relay';
  /** Unix time in milliseconds. */
  readonly firstAt: number;
  /** Unix time in milliseconds. */
  readonly lastAt: number;
  /** How often within the window. */
  readonly count: number;
  /** Issuer and subject as one, and of the names those that are configured. */
  readonly user?: string;
  readonly username?: string;
  readonly email?: string;
  readonly name?: string;
  /** As configured: in full, or the network only. */
  readonly address?: string;
  readonly server?: string;
  /** More exactly what, by the names that logs and metrics use. */
  readonly reason?: string;
  /** One plain sentence; it holds nothing that a stranger chose. */
  readonly message: string;
}

interface Meaning {
  readonly severity: Severity;
  readonly message: string;
}

export const MEANINGS: Readonly<Record<SecurityEventKind, Meaning>> = {
  new_network: { severity: 'notice', message: 'a user came from a network that they were never seen in' },
  concurrent_networks: { severity: 'warning', message: 'a user was in a new network and in another one at once' },
  request_rate: { severity: 'warning', message: 'a user sends more requests than people and programs do' },
  many_sign_ins: { severity: 'warning', message: 'a user signs in again and again' },
  many_denials: { severity: 'warning', message: 'a user asks again and again for what they may not have' },
  many_denied_tools: { severity: 'warning', message: 'a user asks again and again for tools that they may not use' },
  spoof_attempt: { severity: 'critical', message: 'an identity was sent without proof' },
  failed_sign_ins: { severity: 'warning', message: 'many sign-ins from one address failed' },
  refused_credentials: { severity: 'warning', message: 'one address sends forged tokens or guesses API keys' },
  old_api_key: { severity: 'critical', message: 'an API key that was revoked or is over was used again' },
  refresh_token_reuse: {
    severity: 'critical',
    message: 'a code or refresh token that was already used came again; what it was good for has been taken back',
  },
  removed_provider: { severity: 'notice', message: 'a session of an identity provider that was removed was used' },
  operator_refused: {
    severity: 'critical',
    message: 'an operator request came without the right credential',
  },
};
