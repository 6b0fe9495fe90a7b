import type { Context } from 'koa';
import type { Person } from '../../../identity/user.ts';
import { PosternError } from '../../../platform/errors.ts';

/** Somebody who has signed in to the admin pages. */
export interface Operator {
  /** As the audit log has them: without an issuer where they signed in with a password. */
  readonly person: Person;
  readonly way: 'password' | 'group' | 'local';
}

/** Who asks is not let in. `headers` go with the answer. */
export class NotAdmitted extends PosternError {
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: 400 | 401 | 403 | 429,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(code, message, { status, expose: true });
    this.headers = headers;
  }
}

/** Who asks; the gatekeeper has put it there. */
export function operatorOf(ctx: Context): Operator {
  return ctx.state.operator as Operator;
}
