import { credentialHandle } from '../../../identity/credential.ts';
import { type Person, personOf } from '../../../identity/user.ts';
import { digestOf } from '../../../platform/digest.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import type { RevokedCredentials } from '../../../stores/revoked-credentials.ts';
import type { RecordStore, StoredRecord } from '../../../stores/stores.ts';
import type { Session } from '../../sessions/session.ts';
import type { AuthorizationAudit } from './audit.ts';

/** What a person let a client do, and by which session. Times are Unix times in milliseconds. */
export interface Grant {
  /** Id of oidc-provider's grant; whoever has it alone can do nothing with it. */
  readonly id: string;
  /** What operators call it. */
  readonly handle: string;
  /** Key of the browser session that it stands and falls with. */
  readonly session: string;
  /** Id of the provider that the person signed in with. */
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  /** What they were called when they signed in. */
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly client: string;
  readonly clientName: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Why a grant ended, for the log. */
export type GrantEnd = 'session_ended' | 'operator' | 'client_removed' | 'revoked';

export interface GrantsDependencies {
  readonly records: RecordStore;
  readonly ended: Pick<RevokedCredentials, 'end'>;
  readonly sealing: Sealing;
  readonly audit: AuthorizationAudit;
  readonly now: () => number;
  /** Ends oidc-provider's own grant with its codes and refresh tokens. */
  readonly revoke: (id: string) => Promise<void>;
  /** Lets oidc-provider's own grant live at least until then. */
  readonly prolong: (id: string, until: number) => Promise<void>;
}

const EVERY = term('every', '');

/**
 * Who granted what to whom. oidc-provider's own grants know neither the session nor how to be listed; these are beside them
 * and end with them.
 */
export class Grants {
  readonly #deps: GrantsDependencies;

  constructor(deps: GrantsDependencies) {
    this.#deps = deps;
  }

  async keep(
    id: string,
    session: Session,
    about: Omit<Grant, keyof OfSession | 'id' | 'handle' | 'createdAt'>,
  ): Promise<void> {
    const { identity, provider } = session;
    const handle = grantHandle(id);
    const grant: Grant = {
      ...about,
      id,
      handle,
      session: session.key,
      provider,
      ...personOf(identity),
      createdAt: this.#deps.now(),
    };
    await this.#write(grant);
  }

  /** The person has signed in anew: what they granted goes on with the new session. */
  async move(from: string, to: Session): Promise<void> {
    for (const grant of await this.ofSession(from)) {
      await this.#deps.prolong(grant.id, to.endsAt);
      await this.#write({ ...grant, ...personOf(to.identity), session: to.key, expiresAt: to.endsAt });
    }
  }

  async find(id: string): Promise<Grant | undefined> {
    return this.#open(await this.#deps.records.read(keyOf(id)));
  }

  /** All, newest first. */
  list(): Promise<Grant[]> {
    return this.#list(EVERY);
  }

  ofClient(client: string): Promise<Grant[]> {
    return this.#list(term('client', client));
  }

  async ofSession(session: string): Promise<Grant[]> {
    const found = await this.#list(term('session', session));
    // An index may still name what has gone over to another session.
    return found.filter((grant) => grant.session === session);
  }

  /** Ends it with every code and refresh token. @returns whether there was one */
  async end(id: string, reason: GrantEnd): Promise<boolean> {
    const { revoke, audit } = this.#deps;
    const grant = await this.find(id);
    await revoke(id);
    await this.forget(id);
    if (grant === undefined) return false;
    const { client, handle } = grant;
    audit.note('grant_ended', { reason, client, identity: grant, grant: handle }, 'a grant ended');
    return true;
  }

  /** What is beside oidc-provider's grant, once that is over. */
  async forget(id: string): Promise<void> {
    if (!(await this.#deps.records.end(keyOf(id)))) return;
    await this.#deps.ended.end(credentialHandle('grant', id));
  }

  async #write(grant: Grant): Promise<void> {
    const key = keyOf(grant.id);
    const value = this.#deps.sealing.seal(purpose(key), JSON.stringify(grant));
    const indexes = [EVERY, term('session', grant.session), term('client', grant.client)];
    await this.#deps.records.create({ key, version: 1, value, indexes, expiresAt: grant.expiresAt });
  }

  async #list(index: string): Promise<Grant[]> {
    const found = (await this.#deps.records.find(index)).map((entry) => this.#open(entry));
    return found.filter((grant) => grant !== undefined).sort((a, b) => b.createdAt - a.createdAt);
  }

  #open(entry: StoredRecord | undefined): Grant | undefined {
    const text = entry && this.#deps.sealing.open(purpose(entry.key), entry.value);
    return text && (JSON.parse(text.toString('utf8')) as Grant);
  }
}

/** What operators and the log call a grant. */
export function grantHandle(id: string): string {
  return keyOf(id).slice(0, 16);
}

type OfSession = Pick<Grant, 'session' | 'provider' | keyof Person>;

function keyOf(id: string): string {
  return term('grant', id);
}

function purpose(key: string): string {
  return `oauth grant 1 ${key}`;
}

function term(kind: string, value: string): string {
  return digestOf(JSON.stringify(['postern oauth grant 1', kind, value]));
}
