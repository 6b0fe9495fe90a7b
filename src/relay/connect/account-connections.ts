import { setTimeout as wait } from 'node:timers/promises';
import * as client from 'openid-client';
import { type Identity, ownerKey } from '../../identity/identity.ts';
import type { AuditEntry } from '../../platform/audit/audit-entry.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { refusedRefresh } from '../../platform/oauth-failures.ts';
import type { Lock, Locks } from '../../stores/stores.ts';
import { oauthErrorOf, serverAway } from '../credentials/oauth-errors.ts';
import { type Connection, type ConnectionStore, connectionId } from './connection.ts';
import type { UpstreamProvider } from './provider.ts';

/** Milliseconds; longer than metadata and token together may take, so that no two spend one refresh token (RFC 9700 §4.14.2). */
const LOCK_LIFETIME = 25_000;
/** Milliseconds that a request waits for a refresh elsewhere. */
const WAIT = 15_000;
const POLL = 50;
/** Milliseconds before its expiry at which a token is renewed, at most. */
const BEFORE = 30_000;
/** Milliseconds for which a token that still serves is not renewed again after its provider failed. */
const FAILED = 5_000;
/** Connections whose failures are remembered. */
const MAX_REMEMBERED = 10_000;

export interface AccountConnectionsDependencies {
  readonly store: ConnectionStore;
  readonly locks: Locks;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly record: (entry: AuditEntry) => void;
}

/** What is to be said of a person who has no token: they never connected, or the connection ended. */
export type Missing = 'none' | 'broken';

type Tokens = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

/** The connections of people at one MCP server's provider: used, renewed once across all replicas, ended. */
export class AccountConnections {
  readonly provider: UpstreamProvider;
  readonly #deps: AccountConnectionsDependencies;
  readonly #running = new Map<string, Promise<Connection | Missing>>();
  /** By connection, Unix time in milliseconds. */
  readonly #notBefore = new BoundedCache<string, number>({ max: MAX_REMEMBERED });

  constructor(provider: UpstreamProvider, deps: AccountConnectionsDependencies) {
    this.provider = provider;
    this.#deps = deps;
  }

  read(identity: Identity): Promise<Connection | undefined> {
    return this.#deps.store.read(identity, this.#server);
  }

  /** A connection whose access token can be used; near its end it is renewed beside the request. @throws DependencyUnavailable */
  async usable(identity: Identity): Promise<Connection | Missing> {
    const connection = await this.read(identity);
    if (connection === undefined) return 'none';
    if (connection.broken === true || this.#isElsewhere(connection)) return 'broken';
    if (isOver(connection, this.#deps.now())) return this.#renew(identity, connection);
    // Its failure is in the log, and the next request that needs another token is told of it.
    if (this.#isDue(identity, connection)) this.#renew(identity, connection).catch(() => {});
    return connection;
  }

  /**
   * The server answered 401 to this access token.
   *
   * @param last renewing it once did not help
   * @returns another one to try, or that the person has to connect again
   * @throws DependencyUnavailable
   */
  async refused(identity: Identity, accessToken: string, last: boolean): Promise<Connection | Missing> {
    const connection = await this.read(identity);
    if (connection === undefined) return 'none';
    if (connection.broken === true) return 'broken';
    if (last) return this.#breakOff(identity, accessToken);
    // Somebody else was first.
    if (connection.accessToken !== accessToken) return connection;
    return this.#renew(identity, connection);
  }

  /** Keeps what the provider gave to this person. @throws DependencyUnavailable */
  async connect(identity: Identity, issuer: string, clientId: string, tokens: Tokens): Promise<void> {
    const { now, log, store } = this.#deps;
    await this.#locked(identity, async () => {
      const before = await this.read(identity);
      const claims = tokens.claims();
      const account = claims?.email ?? claims?.preferred_username ?? claims?.name;
      await store.write(identity, {
        version: (before?.version ?? 0) + 1,
        owner: ownerKey(identity),
        server: this.#server,
        issuer,
        clientId,
        ...this.#kept(tokens),
        ...(typeof account === 'string' ? { account: account.slice(0, 200) } : {}),
        connectedAt: now(),
      });
    });
    log.info({ server: this.#server, identity, issuer }, 'an account was connected');
    this.record(identity, 'connected', issuer);
  }

  /** Ended here first, then at the provider (RFC 7009), which may be away. @returns whether there was one */
  async disconnect(identity: Identity): Promise<boolean> {
    const { store, log } = this.#deps;
    const connection = await this.read(identity);
    const was = await this.#locked(identity, () => store.remove(identity, this.#server));
    if (was) {
      log.info({ server: this.#server, identity }, 'an account was disconnected');
      this.record(identity, 'disconnected', connection?.issuer);
    }
    if (connection !== undefined) await this.#revoke(connection);
    return was;
  }

  /** @param object the provider, where it is known */
  record(
    identity: Identity,
    outcome: 'connected' | 'disconnected' | 'ended' | 'refused',
    object?: string,
    reason?: string,
  ): void {
    const { method: credential } = identity;
    this.#deps.record({ event: 'connection', outcome, identity, credential, server: this.#server, object, reason });
  }

  get #server(): string {
    return this.provider.settings.server;
  }

  /** The configuration names another provider by now. */
  #isElsewhere({ issuer }: Connection): boolean {
    const { issuer: configured } = this.provider.settings;
    return configured !== undefined && configured !== issuer;
  }

  #isDue(identity: Identity, { expiresAt, refreshToken }: Connection): boolean {
    if (expiresAt === undefined || refreshToken === undefined) return false;
    const notBefore = this.#notBefore.get(connectionId(identity, this.#server)) ?? 0;
    return this.#deps.now() >= Math.max(expiresAt - BEFORE, notBefore);
  }

  #renew(identity: Identity, connection: Connection): Promise<Connection | Missing> {
    const id = connectionId(identity, this.#server);
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    const attempt = this.#attempt(identity, connection, id).finally(() => this.#running.delete(id));
    this.#running.set(id, attempt);
    return attempt;
  }

  async #attempt(identity: Identity, before: Connection, id: string): Promise<Connection | Missing> {
    const lock = await this.#lock(id);
    try {
      const latest = await this.read(identity);
      if (latest === undefined) return 'none';
      if (latest.broken === true) return 'broken';
      return latest.version > before.version ? latest : await this.#refresh(identity, latest);
    } finally {
      await lock.release();
    }
  }

  async #refresh(identity: Identity, connection: Connection): Promise<Connection | Missing> {
    const { store, now, log } = this.#deps;
    const { issuer, refreshToken } = connection;
    if (refreshToken === undefined) return this.#broken(identity, connection, 'there is no refresh token');
    try {
      const configuration = await this.provider.client(issuer);
      if (configuration.clientMetadata().client_id !== connection.clientId)
        return await this.#broken(identity, connection, 'it was given to another client than the relay is now');
      const { resource } = this.provider.settings;
      const parameters = resource === undefined ? {} : { resource };
      const tokens = await client.refreshTokenGrant(configuration, refreshToken, parameters);
      const renewed = { ...connection, version: connection.version + 1, ...this.#kept(tokens, refreshToken) };
      await store.write(identity, renewed);
      return renewed;
    } catch (error) {
      const refused = refusedRefresh(error);
      if (refused !== undefined) return this.#broken(identity, connection, refused);
      log.warn(
        { server: this.#server, issuer, error: oauthErrorOf(error) ?? error },
        'a connected account could not be renewed',
      );
      // A moment before its end the old token still serves.
      this.#notBefore.set(connectionId(identity, this.#server), now() + FAILED);
      if (connection.expiresAt !== undefined && now() < connection.expiresAt) return connection;
      throw serverAway(issuer, error);
    }
  }

  async #breakOff(identity: Identity, accessToken: string): Promise<Missing> {
    return this.#locked(identity, async () => {
      const latest = await this.read(identity);
      if (latest === undefined) return 'none';
      // Connected anew meanwhile: the next request takes that one.
      if (latest.accessToken !== accessToken || latest.broken === true) return 'broken';
      return this.#broken(identity, latest, 'the MCP server refuses the renewed token');
    });
  }

  /** Kept, so that the page can say so; its tokens are not. */
  async #broken(identity: Identity, connection: Connection, why: string): Promise<'broken'> {
    const { refreshToken: _spent, ...rest } = connection;
    await this.#deps.store.write(identity, { ...rest, version: rest.version + 1, accessToken: '', broken: true });
    this.#deps.log.warn({ server: this.#server, identity, why }, 'a connected account cannot be used any more');
    this.record(identity, 'ended', connection.issuer, why);
    return 'broken';
  }

  #kept(tokens: Tokens, before?: string): Pick<Connection, 'accessToken' | 'expiresAt' | 'refreshToken'> {
    const seconds = tokens.expiresIn();
    // RFC 6749 §6: without a new refresh token the old one stays.
    const refreshToken = tokens.refresh_token ?? before;
    return {
      accessToken: tokens.access_token,
      ...(seconds === undefined ? {} : { expiresAt: this.#deps.now() + seconds * 1000 }),
      ...(refreshToken === undefined ? {} : { refreshToken }),
    };
  }

  async #revoke({ issuer, refreshToken, accessToken, broken }: Connection): Promise<void> {
    if (broken === true) return;
    try {
      const configuration = await this.provider.client(issuer);
      if (configuration.serverMetadata().revocation_endpoint === undefined) return;
      await client.tokenRevocation(configuration, refreshToken ?? accessToken);
    } catch (error) {
      this.#deps.log.warn(
        { server: this.#server, issuer, error },
        'the provider was not told that an account was disconnected',
      );
    }
  }

  async #locked<T>(identity: Identity, act: () => Promise<T>): Promise<T> {
    const lock = await this.#lock(connectionId(identity, this.#server));
    try {
      return await act();
    } finally {
      await lock.release();
    }
  }

  async #lock(id: string): Promise<Lock> {
    const deadline = performance.now() + WAIT;
    for (;;) {
      const lock = await this.#deps.locks.acquire(`connection ${id}`, LOCK_LIFETIME);
      if (lock !== undefined) return lock;
      if (performance.now() >= deadline)
        throw new DependencyUnavailable(`the provider of "${this.#server}"`, new Error('another process still renews'));
      await wait(POLL);
    }
  }
}

function isOver({ expiresAt }: Connection, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt;
}
