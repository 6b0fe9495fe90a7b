import type { Person } from '../../identity/user.ts';

/** One thing that somebody did, or was not let do. Fields that do not apply are absent. */
export interface AuditEntry {
  readonly event:
    | 'sign_in'
    | 'decision'
    | 'tool_call'
    | 'message'
    | 'denial'
    | 'connection'
    | 'operator'
    | 'tool_changed'
    | 'authorization';
  /** `allow`, `relayed`, `refused`, `signed_in` and so on: a closed set for each event. */
  readonly outcome: string;
  /** Who did it: written as `user`, with those of the names that are configured. */
  readonly identity?: Person | undefined;
  /** Kind of credential: `session`, `bearer`, `api-key`, `mtls`, `anonymous`. */
  readonly credential?: string | undefined;
  /** Forward-auth: which proxy asked. Relay: whose word it was, `proxy` or `jwt`. */
  readonly via?: string | undefined;
  /** Address of the client, where a trusted proxy names it. */
  readonly client?: string | undefined;
  readonly server?: string | undefined;
  /** What was done: a method and path, or a method of MCP. */
  readonly action?: string | undefined;
  /** On what: a tool, prompt or resource, or what an operator touched. */
  readonly object?: string | undefined;
  readonly reason?: string | undefined;
  /** Path of the rule in the configuration. */
  readonly rule?: string | undefined;
  /** Of a denial by a rule: what it asks for, what the person has of it, and what to change. */
  readonly needs?: string | undefined;
  readonly has?: string | undefined;
  readonly fix?: string | undefined;
  /** Path of the rule that would have denied it, in dry run. */
  readonly wouldDeny?: string | undefined;
  readonly durationMs?: number | undefined;
  readonly requestId?: string | undefined;
  /** Of a tool call: the same in its line `admitted` and in the one with its outcome. */
  readonly call?: string | undefined;
  /** Of a tool call, where the configuration lists them. */
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
}
