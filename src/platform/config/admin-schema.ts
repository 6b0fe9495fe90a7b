import { z } from 'zod';
import { isLoopback } from '../addresses.ts';
import { LACKS_SECRET } from './process-sections.ts';
import { AT_START, httpUrl, secretKeys, secrets } from './values.ts';

/** What the operator sees and does in a browser or by the API, at the relay's own listener. */
export const adminSchema = z.strictObject({
  pages: z
    .boolean()
    .optional()
    .meta({ description: 'the pages at `/admin`; absent: where there is a way to sign in to them' }),
  api: z
    .boolean()
    .optional()
    .meta({ description: '`/admin/api`, which live updates of the pages need too; absent: as `pages`' }),
  user: z.string().min(1).optional().meta({ description: 'who signs in with `password`' }),
  ...secretKeys('password', secrets('of `user`, at least 12 characters, hard to guess').optional()),
  groups: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'members of one of them, by the proven headers of a browser session, need no password' }),
  maxRecent: z
    .int()
    .min(10)
    .max(10_000)
    .default(500)
    .meta({ ...AT_START, description: 'entries of recent activity that are kept to be shown' }),
  forwardAuth: z
    .strictObject({
      url: httpUrl('auth.internalListen, as the relay reaches it'),
      ...secretKeys('token', secrets('auth.operatorToken').optional()),
    })
    .optional()
    .meta({
      description: 'where sessions are listed and ended, and denials of forward-auth are listed; absent: not from here',
    }),
});

type AdminConfig = z.output<typeof adminSchema>;

/** What of it is on. */
export function adminSwitches(admin: AdminConfig): { readonly pages: boolean; readonly api: boolean } {
  const pages = admin.pages ?? hasSignIn(admin);
  return { pages, api: admin.api ?? pages };
}

export function hasSignIn({ user, password, groups }: AdminConfig): boolean {
  return (user !== undefined && password !== undefined) || groups.length > 0;
}

/** Nothing of it opens to somebody who has not signed in, save to programs of this machine where that is asked for. */
export function checkAdmin(
  relay: {
    readonly admin: AdminConfig;
    readonly listen: { readonly host: string };
    readonly authRequired: boolean;
    readonly trust: { readonly enabled: boolean };
  },
  context: z.RefinementCtx,
): void {
  const { admin, listen, authRequired, trust } = relay;
  const issue = (path: readonly string[], message: string, params = {}) =>
    context.addIssue({ code: 'custom', path: ['relay', 'admin', ...path], message, params });
  const { user, password } = admin;
  if ((user === undefined) !== (password === undefined))
    issue(
      [user === undefined ? 'user' : 'password'],
      'give both user and password (BASIC_AUTH_USER, BASIC_AUTH_PASSWORD)',
      LACKS_SECRET,
    );
  if (admin.forwardAuth !== undefined && admin.forwardAuth.token === undefined)
    issue(
      ['forwardAuth', 'token'],
      'needed: auth.operatorToken (POSTERN_RELAY_ADMIN_FORWARD_AUTH_TOKEN)',
      LACKS_SECRET,
    );
  const { pages, api } = adminSwitches(admin);
  if (!pages && !api) return;
  if (user?.includes(':')) issue(['user'], 'must hold no colon (RFC 7617 §2)');
  const weakness = password?.map((one) => weaknessOf(one, user ?? '')).find((found) => found !== undefined);
  if (weakness !== undefined)
    issue(['password'], `${weakness}: make one with \`openssl rand -base64 24\` (BASIC_AUTH_PASSWORD)`);
  if (admin.groups.length > 0 && !trust.enabled)
    issue(['groups'], 'needs relay.trust.enabled (TRUST_PROXY_AUTH): the groups of a user come from its headers');
  if (hasSignIn(admin)) return;
  if (authRequired)
    issue(
      [],
      'needs user and password (BASIC_AUTH_USER, BASIC_AUTH_PASSWORD), or groups: otherwise no one can sign in',
      LACKS_SECRET,
    );
  else if (!isLoopback(listen.host))
    issue(
      [],
      `would be open to everybody on ${listen.host}: set user and password, or groups, or listen on 127.0.0.1`,
      LACKS_SECRET,
    );
}

/** What manuals print and people type first. */
const KNOWN =
  /^(?:admin|administrator|change|changeme|changeit|changethis|default|letmein|me|pass|password|please|postern|qwerty|root|secret|test|the|welcome)+$/;
const MIN_LENGTH = 12;
const MIN_DIFFERENT = 6;

function weaknessOf(password: string, user: string): string | undefined {
  if (KNOWN.test(password.toLowerCase().replace(/[^a-z]/g, ''))) return 'is one that everybody tries first';
  if (password.length < MIN_LENGTH) return `must have at least ${MIN_LENGTH} characters`;
  if (new Set(password).size < MIN_DIFFERENT || /^\d+$/.test(password)) return 'is too easy to guess';
  return user.length > 3 && password.toLowerCase().includes(user.toLowerCase()) ? 'must not hold the name' : undefined;
}
