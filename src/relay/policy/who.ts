import { type Cause, missingMembership, nameList } from '../../identity/denial-cause.ts';
import type { Identity } from '../../identity/identity.ts';
import type { PolicyRuleConfig } from '../../platform/config/schema.ts';

type Stated = NonNullable<PolicyRuleConfig['who']>;
type WhoConfig = Exclude<Stated, 'anyone-signed-in'>;

/** `scopes`: everything holds but the scopes, which a client can ask for. */
export type WhoMatch = 'yes' | 'no' | 'scopes';

/** For whom a rule holds. */
export class Who {
  readonly scopes: readonly string[];
  readonly #config: WhoConfig | undefined;
  readonly #denies: boolean;

  constructor(stated: Stated | undefined, effect: 'allow' | 'deny') {
    this.#config = stated === 'anyone-signed-in' ? { anonymous: false } : stated;
    this.#denies = effect === 'deny';
    this.scopes = this.#config?.scopes ?? [];
  }

  is(identity: Identity): WhoMatch {
    const config = this.#config;
    if (identity.method === 'anonymous') return this.#holdsForAnonymous ? 'yes' : 'no';
    if (config === undefined) return 'yes';
    if (config.anonymous) return 'no';
    const { issuers, authentication } = config;
    if (!names(config, identity) || issuers?.includes(identity.issuer) === false) return 'no';
    if (authentication?.some((method) => method === identity.method) === false) return 'no';
    return this.scopes.every((scope) => identity.scopes.includes(scope)) ? 'yes' : 'scopes';
  }

  get anonymousOnly(): boolean {
    return this.#config?.anonymous === true;
  }

  /** What somebody lacks for whom this does not hold, scopes aside. @param key of this in the configuration */
  missing(identity: Identity, key: string): Cause {
    if (identity.method === 'anonymous')
      return {
        needs: 'a user who is signed in',
        has: 'an anonymous one',
        fix: `send a credential, or add a rule with who: { anonymous: true }`,
      };
    const { users, groups, issuers, authentication, anonymous } = this.#config ?? { anonymous: false };
    if (anonymous)
      return {
        needs: 'an anonymous user',
        has: `user ${identity.subject}`,
        fix: `add a rule for users who are signed in; ${key} is for the anonymous only`,
      };
    if (!names({ users, groups }, identity)) return missingMembership({ users, groups, key }, identity);
    if (issuers?.includes(identity.issuer) === false)
      return {
        needs: `a user of one of the issuers ${nameList(issuers)}`,
        has: `issuer ${identity.issuer || '(none)'}`,
        fix: `sign in with one of these providers, or add the user’s issuer to ${key}.issuers`,
      };
    return {
      needs: `one of the credentials ${nameList(authentication ?? [])}`,
      has: identity.method,
      fix: `use one of these, or add "${identity.method}" to ${key}.authentication`,
    };
  }

  /** Whether this holds for everybody for whom the other one does. */
  covers(other: Who): boolean {
    const [mine, theirs] = [this.#config, other.#config];
    if (other.#holdsForAnonymous && !this.#holdsForAnonymous) return false;
    if (mine === undefined || theirs?.anonymous === true) return true;
    if (mine.anonymous || theirs === undefined) return false;
    const everybody = mine.users === undefined && mine.groups === undefined;
    const some = theirs.users !== undefined || theirs.groups !== undefined;
    return (
      (everybody || (some && within(theirs.users ?? [], mine.users) && within(theirs.groups ?? [], mine.groups))) &&
      (mine.issuers === undefined || (theirs.issuers !== undefined && within(theirs.issuers, mine.issuers))) &&
      (mine.authentication === undefined ||
        (theirs.authentication !== undefined && within(theirs.authentication, mine.authentication))) &&
      within(this.scopes, other.scopes)
    );
  }

  /** An allow rule must name the anonymous; a deny rule for everybody means them too. */
  get #holdsForAnonymous(): boolean {
    return this.#config === undefined ? this.#denies : this.#config.anonymous;
  }
}

function names({ users, groups }: Pick<WhoConfig, 'users' | 'groups'>, identity: Identity): boolean {
  return (
    (users === undefined && groups === undefined) ||
    users?.includes(identity.subject) === true ||
    groups?.some((group) => identity.groups.includes(group)) === true
  );
}

function within(some: readonly string[], all: readonly string[] | undefined): boolean {
  return some.every((value) => all?.includes(value) === true);
}
