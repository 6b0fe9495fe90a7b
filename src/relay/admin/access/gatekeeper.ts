import type { IncomingMessage } from 'node:http';
import { type AddressList, addressBehind } from '../../../platform/addresses.ts';
import type { HeaderScanner } from '../../trust/headers.ts';
import type { GroupSignIn } from './group-sign-in.ts';
import { isLocal } from './local-access.ts';
import { NotAdmitted, type Operator } from './operator.ts';
import { CHALLENGE, type PasswordSignIn } from './password-sign-in.ts';
import type { SameOrigin } from './same-origin.ts';

export interface GatekeeperParts {
  readonly scanner: HeaderScanner;
  readonly origin: SameOrigin;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly peers: AddressList;
  /** Entries of it that they add. */
  readonly hops: number;
  readonly password: PasswordSignIn | undefined;
  readonly groups: GroupSignIn | undefined;
  /** Programs of this machine need not sign in, because there is no way to. */
  readonly local: boolean;
}

const LOCAL: Operator = { person: { issuer: '', subject: 'this machine' }, way: 'local' };

/** Who may see the admin pages and use their API. Not by what lets MCP clients in. */
export class Gatekeeper {
  readonly #parts: GatekeeperParts;

  constructor(parts: GatekeeperParts) {
    this.#parts = parts;
  }

  /** @throws NotAdmitted, DependencyUnavailable */
  async admit(request: IncomingMessage): Promise<Operator> {
    const { scanner, origin, password, groups, local } = this.#parts;
    const { ambiguity } = scanner.scan(request.rawHeaders);
    if (ambiguity !== undefined) throw new NotAdmitted(400, ambiguity.reason, ambiguity.message);
    if (!origin.isNotForeign(request)) throw new NotAdmitted(403, 'origin', 'pages of other sites may not do this');
    const { authorization = '' } = request.headers;
    if (password !== undefined && /^basic /i.test(authorization))
      return password.check(authorization, this.#whereFrom(request));
    if (groups !== undefined) return groups.check(request).catch((error) => this.#orPassword(error));
    if (password !== undefined) throw new NotAdmitted(401, 'sign_in', 'sign in to see this', CHALLENGE);
    if (local && isLocal(request)) return LOCAL;
    throw new NotAdmitted(403, 'not_local', 'only for programs of this machine, as long as there is no way to sign in');
  }

  /** Where there is a password too, whoever is in no group is asked for it. */
  #orPassword(error: unknown): never {
    if (this.#parts.password === undefined || !(error instanceof NotAdmitted) || error.status === 400) throw error;
    throw new NotAdmitted(401, error.code, error.message, CHALLENGE);
  }

  #whereFrom({ socket, headers }: IncomingMessage): { client: string; peer: string } {
    const peer = socket.remoteAddress ?? '';
    const forwardedFor = headers['x-forwarded-for'];
    const { peers, hops } = this.#parts;
    const told = forwardedFor !== undefined && peers.hasPeer(socket);
    return { client: told ? addressBehind(String(forwardedFor), hops) : peer, peer };
  }
}
