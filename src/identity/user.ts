/** Who somebody is, and what they are called; an `Identity` is one. Subjects are unique per issuer only (OIDC Core §5.7). */
export interface Person {
  readonly issuer: string;
  /** Empty for the anonymous. */
  readonly subject: string;
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
}

/** Only who it is: of an identity without groups, scopes and method. */
export function personOf({ issuer, subject, username, email, name }: Person): Person {
  return { issuer, subject, ...(username && { username }), ...(email && { email }), ...(name && { name }) };
}

/** Names that can stand beside `user`; which of them do is configured. */
export const USER_NAMES = ['username', 'email', 'name'] as const;
export type UserName = (typeof USER_NAMES)[number];

/** A person as logs, audit, events and lists have them. */
export type UserFields = { readonly user: string } & Partial<Record<UserName, string | undefined>>;

/**
 * The one spelling of a user: `<issuer>#<subject>`. An issuer has no fragment (RFC 8414 §2), so the first `#` ends it. Without an
 * issuer it is the subject; empty for the anonymous.
 */
export function userOf({ issuer, subject }: Pick<Person, 'issuer' | 'subject'>): string {
  if (subject === '' || (issuer === '' && !subject.includes('#'))) return subject;
  return `${issuer.replaceAll('#', '%23')}#${subject}`;
}

/** Reads what `userOf` wrote. @returns an empty issuer where there is none in it */
export function readUser(user: string): Pick<Person, 'issuer' | 'subject'> {
  const end = user.indexOf('#');
  return { issuer: user.slice(0, Math.max(0, end)), subject: user.slice(end + 1) };
}

/**
 * How an operator names somebody: `<issuer>#<subject>` or any name. Only an address is taken for an issuer (RFC 8414 §2): a subject may
 * have a `#` of its own.
 */
export function readNamedUser(text: string): { readonly issuer: string | undefined; readonly subject: string } {
  const { issuer, subject } = readUser(text);
  return /^https?:\/\//.test(issuer) && subject !== '' ? { issuer, subject } : { issuer: undefined, subject: text };
}

export function userFields(person: Person, names: readonly UserName[]): UserFields {
  const known = names.flatMap((name) => (person[name] ? [[name, person[name]]] : []));
  return { user: userOf(person), ...Object.fromEntries(known) };
}

/** A record whose `identity` is written as the fields of a user. @param names those that are written */
export function withUser<T extends { readonly identity?: Person | undefined }>(
  record: T,
  names: readonly UserName[],
): Omit<T, 'identity'> & Partial<UserFields> {
  const { identity, ...rest } = record;
  return identity === undefined ? rest : { ...rest, ...userFields(identity, names) };
}

/** Who a line is about. It names nobody whom its configuration leaves out. */
export function personIn({
  user = '',
  username,
  email,
  name,
}: { readonly [field in keyof UserFields]?: string | undefined }): Person {
  return { ...readUser(user), username, email, name };
}

/** What people read first: nobody knows people by their subject. */
export function displayName({ name, username, email, subject }: Person): string {
  return name || username || email || subject;
}

/** Whether a text means this person: by user, subject, username, e-mail address or name. Names are compared without case. */
export function isCalled(person: Person, text: string): boolean {
  if (text === '' || person.subject === '') return false;
  const loose = text.toLowerCase();
  return (
    text === person.subject ||
    text === userOf(person) ||
    USER_NAMES.some((name) => person[name]?.toLowerCase() === loose)
  );
}
