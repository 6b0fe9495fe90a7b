import type { Account, FindAccount, KoaContextWithOIDC } from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';
import type { Session, Sessions } from '../../sessions/session.ts';
import { accountId, identityClaims, type KnownIdentity, readAccountId } from './account.ts';
import type { Grants } from './grants.ts';
import { orUnavailable } from './oauth-unavailable.ts';
import { oidcErrors } from './oidc-library.ts';

export interface AccountsDependencies {
  readonly sessions: Pick<Sessions, 'byKey' | 'renew'>;
  readonly grants: Grants;
  readonly clients: BrokerConfig['clients'];
}

/**
 * People as oidc-provider asks for them. A grant stands and falls with the session it was made in, and at every refresh the
 * provider is asked who they are now: so a lost group is lost at the next refresh, and a sign-out ends it.
 */
export class Accounts {
  readonly #deps: AccountsDependencies;
  readonly #identities = new WeakMap<object, KnownIdentity>();

  constructor(deps: AccountsDependencies) {
    this.#deps = deps;
  }

  /** @returns undefined where the person is signed in no longer */
  async find(
    _ctx: KoaContextWithOIDC,
    id: string,
    source: Parameters<FindAccount>[2] | undefined,
  ): Promise<Account | undefined> {
    // Before there is a grant, our own page has just looked at the session.
    if (source === undefined || !('grantId' in source) || source.grantId === undefined)
      return this.#account(id, undefined);
    const session = await orUnavailable(this.#sessionOf(source.grantId, source.kind === 'RefreshToken'));
    if (session === undefined || accountId(session.provider, session.identity.subject) !== id) {
      await orUnavailable(this.#deps.grants.end(source.grantId, 'session_ended'));
      throw Object.assign(new (oidcErrors().InvalidGrant)('the person is signed in no longer'), {
        error_description: 'the person is signed in no longer; begin a new authorization',
      });
    }
    return this.#account(id, session.identity);
  }

  identityOf(account: Account | undefined): KnownIdentity | undefined {
    return account && this.#identities.get(account);
  }

  /** A client that gets tokens for itself. */
  clientIdentity(id: string | undefined): KnownIdentity | undefined {
    const found = this.#deps.clients.find((client) => client.id === id);
    return found && { email: '', name: found.name ?? '', groups: found.groups };
  }

  /** For a person whom a provider vouched for without a session here. */
  vouchedFor(id: string, identity: KnownIdentity): Account {
    return this.#account(id, identity);
  }

  async #sessionOf(grantId: string, renew: boolean): Promise<Session | undefined> {
    const grant = await this.#deps.grants.find(grantId);
    if (grant === undefined) return undefined;
    const { sessions, grants } = this.#deps;
    const session = await (renew ? sessions.renew(grant.session) : sessions.byKey(grant.session));
    if (session !== undefined) return session;
    // The person may have signed in anew while their provider was asked: what is over then is the session before.
    const moved = (await grants.find(grantId))?.session !== grant.session;
    return moved ? this.#sessionOf(grantId, renew) : undefined;
  }

  #account(id: string, identity: KnownIdentity | undefined): Account {
    const { subject = id } = readAccountId(id) ?? {};
    const account: Account = {
      accountId: id,
      claims: () => ({ sub: id, preferred_username: subject, ...(identity && identityClaims(identity)) }),
    };
    if (identity !== undefined) this.#identities.set(account, identity);
    return account;
  }
}
