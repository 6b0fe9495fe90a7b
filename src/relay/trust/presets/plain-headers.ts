import { ANONYMOUS, type IdentityMethod } from '../../../identity/identity.ts';
import { decodeText, splitList } from './field-value.ts';
import { ABSENT, type Lookup, type Preset, type Reading } from './preset.ts';

/** Which headers hold what. */
export interface HeaderNames {
  readonly user: string;
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly groups?: string | undefined;
}

export interface PlainHeaders extends HeaderNames {
  /** What stands between groups; absent: a comma. */
  readonly groupsDelimiter?: string;
  /** How a value is written; absent: as it is. */
  readonly decode?: (text: string) => string;
  /** The user is an e-mail address. */
  readonly userIsEmail?: boolean;
  /** The product knows people by its cookie or by `Authorization` and `Proxy-Authorization`, and by nothing else. */
  readonly cookieSessions?: boolean;
}

/** A product that writes the identity into headers and signs nothing: worth what the proof of the proxy is worth. */
export function plainPreset(headers: PlainHeaders): Preset {
  return {
    userHeader: headers.user,
    names: namesOf(headers),
    read: (get) => readPlain(headers, get),
  };
}

export function namesOf({ user, username, email, name, groups }: HeaderNames): string[] {
  return [...new Set([user, username, email, name, groups])].filter((header) => header !== undefined);
}

export function readPlain(headers: PlainHeaders, get: Lookup): Reading {
  const text = (header: string | undefined) => {
    const value = header === undefined ? '' : decodeText(get(header.toLowerCase()));
    return headers.decode === undefined ? value : headers.decode(value).trim();
  };
  const subject = text(headers.user);
  if (subject === '') return ABSENT;
  const email = text(headers.email);
  const username = text(headers.username);
  return {
    kind: 'read',
    identity: {
      ...ANONYMOUS,
      subject,
      ...(username === '' ? {} : { username }),
      email: email === '' && headers.userIsEmail === true ? subject : email,
      name: text(headers.name),
      groups: splitList(text(headers.groups), headers.groupsDelimiter ?? ','),
      method: headers.cookieSessions === true ? methodOf(get) : 'bearer',
    },
  };
}

/** Without a cookie it was no session; with a credential in a header nobody knows which of them the product has believed. */
function methodOf(get: Lookup): IdentityMethod {
  const sent = (name: string) => (get(name) ?? '').trim() !== '';
  return sent('cookie') && !sent('authorization') && !sent('proxy-authorization') ? 'session' : 'bearer';
}
