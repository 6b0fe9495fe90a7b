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
    const { users, groups, issuers, authentication } = config;
    const named =
      (users === undefined && groups === undefined) ||
      users?.includes(identity.subject) === true ||
      groups?.some((group) => identity.groups.includes(group)) === true;
    if (!named || issuers?.includes(identity.issuer) === false) return 'no';
    if (authentication?.some((method) => method === identity.method) === false) return 'no';
    return this.scopes.every((scope) => identity.scopes.includes(scope)) ? 'yes' : 'scopes';
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

function within(some: readonly string[], all: readonly string[] | undefined): boolean {
  return some.every((value) => all?.includes(value) === true);
}
