import type { IncomingMessage } from 'node:http';
import type { Callers } from '../../trust/caller.ts';
import { NotAdmitted, type Operator } from './operator.ts';

/**
 * Somebody whom a proxy that proved itself names as a member of the operators' group. A browser session only: the tokens and
 * keys of MCP clients carry their owner's groups too, and a program that an agent drives is no operator.
 */
export class GroupSignIn {
  readonly #groups: ReadonlySet<string>;
  readonly #callers: Pick<Callers, 'identify'>;

  constructor(groups: readonly string[], callers: Pick<Callers, 'identify'>) {
    this.#groups = new Set(groups);
    this.#callers = callers;
  }

  /** @throws NotAdmitted, DependencyUnavailable */
  async check(request: IncomingMessage): Promise<Operator> {
    const caller = await this.#callers.identify(request);
    if ('status' in caller)
      throw new NotAdmitted(caller.status === 400 ? 400 : 401, caller.reason, caller.message, caller.headers);
    const { identity, way } = caller;
    const proven = (way === 'proxy' || way === 'both') && identity.method === 'session';
    if (!proven)
      throw new NotAdmitted(403, 'no_session', 'sign in with a browser: tokens and keys of programs are not for this');
    if (!identity.groups.some((group) => this.#groups.has(group)))
      throw new NotAdmitted(403, 'not_operator', 'you are in no group that may operate the relay');
    return { person: identity, way: 'group' };
  }
}
