import type { Person } from '../../../identity/user.ts';
import type { AuditLog } from '../../../platform/audit/audit-log.ts';
import type { Logger } from '../../../platform/log.ts';

/** What happens at the broker; a metric label and the `audit` of a log line. */
export type AuditEvent =
  | 'token_issued'
  | 'client_registered'
  | 'consent_given'
  | 'consent_denied'
  | 'consent_forged'
  | 'user_refused'
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

/** What is said of an event beside what it is. */
export interface About {
  /** Id of the OAuth client. */
  readonly client?: string | undefined;
  readonly identity?: Person | undefined;
  readonly resource?: string | undefined;
  /** Address of the one who asked. */
  readonly address?: string | undefined;
  readonly path?: string | undefined;
  /** Code of OAuth. */
  readonly error?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  readonly [more: string]: unknown;
}

export interface AuthorizationAuditDependencies {
  readonly log: Logger;
  readonly audit: Pick<AuditLog, 'record'> | undefined;
  readonly count: (event: AuditEvent) => void;
}

/** A line in both logs and a count for each thing that was given or refused. Never a code, token or secret. */
export class AuthorizationAudit {
  readonly #deps: AuthorizationAuditDependencies;

  constructor(deps: AuthorizationAuditDependencies) {
    this.#deps = deps;
  }

  note(event: AuditEvent, about: About, message: string): void {
    const { log, audit, count } = this.#deps;
    count(event);
    log[EXPECTED.has(event) ? 'info' : 'warn']({ audit: event, ...about }, message);
    const { client, identity, resource, address, path, error, reason, requestId } = about;
    audit?.record({
      event: 'authorization',
      outcome: event,
      identity,
      client: address,
      server: resource,
      action: path,
      object: client,
      reason: error ?? reason,
      requestId,
    });
  }
}
