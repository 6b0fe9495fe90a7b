import type { Identity } from '../../identity/identity.ts';

/** One message of a client, and who sent it where. */
export interface Call {
  readonly identity: Identity;
  readonly server: string;
  /** Undefined: a response to the server, or a request without a message. */
  readonly method: string | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  /** The JSON as it came; undefined where the server gets what was parsed. */
  readonly text?: (() => string) | undefined;
}

/** `unclear`: a server could read the message in another way than it was judged. */
export type DenialReason = 'no_rule' | 'rule' | 'read_only' | 'unclear';

export interface Denied {
  readonly kind: 'denied';
  readonly reason: DenialReason;
  /** Path of the rule in the configuration, or of the default. */
  readonly rule: string;
  /** What may not be done, such as `tools/call "delete" of server "github"`. */
  readonly permission: string;
  /** Scopes with which it would be allowed; empty where scopes do not help. */
  readonly scopes: readonly string[];
}

export interface Allowed {
  readonly kind: 'allowed';
  readonly rule: string;
  /** What a rule or a policy in dry run would have said. */
  readonly wouldDeny?: Denied;
}

export type PolicyDecision = Allowed | Denied;

/** Characters of a name that somebody else invented. */
const MAX_NAME = 128;

/** @param name of the object, for which anything may have been sent */
export function permissionOf(server: string, method: string | undefined, name?: string): string {
  const what = method === undefined || method === '' ? 'a connection' : printable(method);
  return `${what}${name === undefined ? '' : ` "${printable(name)}"`} of server "${server}"`;
}

/** In one line, and without what a terminal or a log would obey. */
export function printable(text: string): string {
  const short = text.length > MAX_NAME ? `${text.slice(0, MAX_NAME)}…` : text;
  return short.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
}
