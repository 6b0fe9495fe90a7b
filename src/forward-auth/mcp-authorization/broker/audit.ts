import type { Logger } from '../../../platform/log.ts';

/** What happens at the broker; a metric label and the `audit` of a log line. */
export type AuditEvent =
  | 'token_issued'
  | 'client_registered'
  | 'consent_given'
  | 'consent_denied'
  | 'consent_forged'
  | 'grant_ended'
  | 'grant_revoked'
  | `${Refusable}_refused`;

export type Refusable = 'token' | 'authorization' | 'registration' | 'revocation' | 'introspection';

const EXPECTED = new Set<AuditEvent>([
  'token_issued',
  'client_registered',
  'consent_given',
  'consent_denied',
  'grant_ended',
]);

/** A line and a count for each thing that was given or refused. Never a code, token or secret. */
export class Audit {
  readonly #log: Logger;
  readonly #count: (event: AuditEvent) => void;

  constructor(log: Logger, count: (event: AuditEvent) => void) {
    this.#log = log;
    this.#count = count;
  }

  note(event: AuditEvent, about: object, message: string): void {
    this.#count(event);
    this.#log[EXPECTED.has(event) ? 'info' : 'warn']({ audit: event, ...about }, message);
  }
}
