import type { UserFields } from '../identity/user.ts';
import type { AuthConfig } from '../platform/config/schema.ts';
import { type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';

/** How commands name a user. */
export const USER_HELP = `  --user USER      <issuer>#<subject>, subject, username, e-mail address or name; whole, as \`list\` prints them
  --provider ID    only a user of this provider
  --issuer URL     the same by the provider's issuer`;

export const USER_OPTIONS = {
  user: { type: 'string' },
  provider: { type: 'string' },
  issuer: { type: 'string' },
} as const;

/** Narrows a list to one user. @returns the query; empty without --user */
export function userQuery(line: CommandLine): string {
  const user = optionalText(line, 'user');
  return user === undefined ? '' : `?${new URLSearchParams({ user })}`;
}

/** @returns the issuer that --provider or --issuer names @throws UsageError where there is no such provider */
export function issuerIn(auth: AuthConfig, line: CommandLine): string | undefined {
  const id = optionalText(line, 'provider');
  const issuer = optionalText(line, 'issuer');
  if (id !== undefined && issuer !== undefined) throw new UsageError('give one of --provider and --issuer');
  const found = auth.providers.find((provider) => provider.id === id);
  if (id !== undefined && found === undefined)
    throw new UsageError(
      `there is no provider "${id}" in auth.providers, but: ${auth.providers.map((known) => known.id).join(', ') || 'none'}`,
    );
  return issuer ?? found?.issuer;
}

/** Somebody whom forward-auth knows. */
export interface FoundUser extends UserFields {
  /** Of their session; absent: they are not signed in. */
  readonly groups?: readonly string[];
  readonly suspended?: boolean;
}

/**
 * Asks forward-auth whom a name means.
 *
 * @returns undefined where nobody who is known there is called so; `several` where that was printed
 */
export async function findUser(
  auth: AuthConfig,
  { user, issuer }: { readonly user: string; readonly issuer: string | undefined },
  terminal: Terminal,
): Promise<FoundUser | undefined | 'several'> {
  const query = new URLSearchParams(issuer === undefined ? { user } : { user, issuer });
  const { people, complete } = await askOperatorApi(auth, 'GET', `/people?${query}`);
  const found = Array.isArray(people) ? (people as FoundUser[]) : [];
  if (complete === false) terminal.printError('not all sessions were looked at: there are too many');
  if (found.length < 2) return found[0];
  terminal.printError(`${found.length} users are called ${JSON.stringify(user)}; give one by its "user":`);
  for (const one of found) terminal.printError(JSON.stringify(one));
  return 'several';
}
