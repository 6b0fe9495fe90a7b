import type Koa from 'koa';
import { ACCOUNT_PAGES } from '../../../identity/account-pages.ts';
import { NotAdmitted, operatorOf } from '../access/operator.ts';
import { CHALLENGE } from '../access/password-sign-in.ts';
import { ADMIN } from '../paths.ts';
import { seeOther } from './own-form.ts';

export const SIGN_OUT = `${ADMIN}/sign-out`;

/** A browser forgets a password that is refused (RFC 7617 §2.2 leaves it the only way); a session ends at forward-auth. */
export function signOut(ctx: Koa.Context): void {
  const { way } = operatorOf(ctx);
  switch (way) {
    case 'password':
      throw new NotAdmitted(401, 'signed_out', 'you are signed out; sign in again to go on', CHALLENGE);
    case 'group':
      seeOther(ctx, ACCOUNT_PAGES.signOut);
      break;
    case 'local':
      seeOther(ctx, ADMIN);
      break;
    default:
      way satisfies never;
  }
}
