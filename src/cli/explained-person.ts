import { ANONYMOUS, type Identity, identityOf } from '../identity/identity.ts';
import { type Person, personIn, readNamedUser } from '../identity/user.ts';
import type { Config } from '../platform/config/schema.ts';
import { PosternError } from '../platform/errors.ts';
import { type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { type FoundUser, findUser, issuerIn } from './people.ts';

/** Who would send the request that is explained. */
export interface ExplainedPerson {
  readonly identity: Identity;
  readonly suspended: boolean;
}

/**
 * Whom the options name: somebody whom the running forward-auth knows, with the groups of their session, or a subject.
 *
 * @returns undefined where several are called so, which was printed
 */
export async function explainedPerson(
  config: Config,
  line: CommandLine,
  terminal: Terminal,
): Promise<ExplainedPerson | undefined> {
  const [user, groups, scopes] = [optionalText(line, 'user'), names(line, 'groups'), names(line, 'scopes')];
  const issuer = issuerIn(config.auth, line);
  if (user === undefined) {
    if (groups !== undefined || scopes !== undefined)
      throw new UsageError('--groups and --scopes need --user: without it the request is anonymous');
    return { identity: ANONYMOUS, suspended: false };
  }
  const found = await ask(config, { user, issuer }, terminal);
  if (found === 'several') return undefined;
  const known = groups ?? found?.groups;
  if (known === undefined) terminal.printError('the groups of the user are not known: give --groups');
  return {
    identity: identityOf(found === undefined ? named(config, user, issuer) : personIn(found), {
      method: scopes === undefined ? 'session' : 'bearer',
      ...(known && { groups: known }),
      ...(scopes && { scopes }),
    }),
    suspended: found?.suspended === true,
  };
}

/** Without forward-auth the name is a subject, and the configuration is explained all the same. */
async function ask(
  { auth }: Config,
  wanted: Parameters<typeof findUser>[1],
  terminal: Terminal,
): Promise<FoundUser | undefined | 'several'> {
  if (auth.operatorToken === undefined) return undefined;
  try {
    const found = await findUser(auth, wanted, terminal);
    if (found === undefined)
      terminal.printError(`forward-auth knows no user ${JSON.stringify(wanted.user)}: taken as a subject`);
    return found;
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    terminal.printError(`${error.message}; ${JSON.stringify(wanted.user)} is taken as it is`);
    return undefined;
  }
}

function named({ auth }: Config, user: string, issuer: string | undefined): Person {
  const read = readNamedUser(user);
  return { subject: read.subject, issuer: read.issuer ?? issuer ?? auth.providers[0]?.issuer ?? '' };
}

function names(line: CommandLine, option: string): string[] | undefined {
  return optionalText(line, option)
    ?.split(/[,\s]+/)
    .filter((name) => name !== '');
}
