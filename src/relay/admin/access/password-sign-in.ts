import { createSecretCheck } from '../../../platform/secret-check.ts';
import { clientKey, type LimitKey } from '../../../stores/limit-key.ts';
import type { Limiter } from '../../../stores/stores.ts';
import { NotAdmitted, type Operator } from './operator.ts';

/** RFC 7617 §2.1: names and passwords are UTF-8. */
export const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="Postern admin", charset="UTF-8"' } as const;

export interface GuessLimits {
  /** Counts what one client gets wrong. */
  readonly byClient: Limiter;
  /** Counts what one peer gets wrong, whatever clients it speaks of: what it says of them may be invented. */
  readonly byPeer: Limiter;
}

/** The operator's own name and password, by HTTP Basic (RFC 7617). */
export class PasswordSignIn {
  readonly #user: string;
  readonly #isUser: (given: string) => boolean;
  readonly #isPassword: (given: string) => boolean;
  readonly #limits: GuessLimits;
  readonly #onWrong: (client: string) => void;

  constructor(
    { user, password }: { readonly user: string; readonly password: readonly string[] },
    limits: GuessLimits,
    onWrong: (client: string) => void,
  ) {
    this.#user = user;
    this.#isUser = createSecretCheck([user]);
    this.#isPassword = createSecretCheck(password);
    this.#limits = limits;
    this.#onWrong = onWrong;
  }

  /**
   * Every attempt counts before it is looked at, so that many at once learn no more than many in turn; a right one is taken
   * off again.
   *
   * @throws NotAdmitted, DependencyUnavailable
   */
  async check(authorization: string, { client, peer }: { client: string; peer: string }): Promise<Operator> {
    const { byClient, byPeer } = this.#limits;
    const [one, of] = [client, peer].map(clientKey) as [LimitKey, LimitKey];
    const counts = await Promise.all([byClient.consume(one), byPeer.consume(of)]);
    const over = counts.filter(({ allowed }) => !allowed).map(({ resetIn }) => resetIn);
    if (over.length > 0)
      throw new NotAdmitted(429, 'too_many_attempts', 'too many sign-ins failed from here: wait and try again', {
        'Retry-After': String(Math.ceil(Math.max(...over) / 1_000)),
      });
    if (!this.#matches(authorization)) {
      this.#onWrong(client);
      throw new NotAdmitted(401, 'wrong_password', 'the name or the password is wrong', CHALLENGE);
    }
    await Promise.all([byClient.consume(one, -1), byPeer.consume(of, -1)]);
    return { person: { issuer: '', subject: this.#user }, way: 'password' };
  }

  /** Both are compared, so that it takes as long whichever is wrong. */
  #matches(authorization: string): boolean {
    const encoded = authorization.slice('basic '.length).trim();
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    const user = this.#isUser(text.slice(0, Math.max(0, colon)));
    const password = this.#isPassword(text.slice(colon + 1));
    return user && password && colon !== -1;
  }
}
