import { BoundedCache } from '../../platform/bounded-cache.ts';
import { version } from '../../platform/version.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { NoAnswer, ServerError } from '../protocol/failures.ts';
import { type Era, eraOf, FIRST_MODERN, LEGACY_VERSIONS, sessionVersion } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import { HttpSessions } from '../upstreams/http-sessions.ts';
import { ModernClient } from '../upstreams/modern-client.ts';
import { ownerOf, type UpstreamLink } from '../upstreams/upstream-request.ts';

/** Milliseconds after which what was found out is looked at again: a server may have been replaced. */
const FRESH = 60_000;
/** Milliseconds for a server to say whether it knows an era. */
const PATIENCE = 10_000;

const RELAY: ClientFacts = {
  protocolVersion: FIRST_MODERN,
  capabilities: {},
  clientInfo: { name: 'postern', version: version() },
};

/** Answers that are remembered. */
const MAX_FOUND = 10_000;

/**
 * Which eras one server speaks, as far as that is known. That it speaks one holds for everybody; that it does not, for the user who
 * was refused: what refuses may stand in front of the server, or go by who asks.
 */
export class EraDetection {
  readonly #link: UpstreamLink;
  readonly #now: () => number;
  readonly #configured: Era | 'both' | 'auto';
  readonly #found = new BoundedCache<string, number>({ max: MAX_FOUND });
  readonly #asking = new Map<string, Promise<boolean>>();

  /**
   * @param configured `auto`: found out by asking
   * @param now milliseconds
   */
  constructor(configured: Era | 'both' | 'auto', link: UpstreamLink, now: () => number) {
    this.#configured = configured;
    this.#link = link;
    this.#now = now;
  }

  /** Undefined: not known, or so long ago that it has to be looked at again. */
  speaks(era: Era, caller: Caller | undefined): boolean | undefined {
    if (this.#configured !== 'auto') return this.#configured === 'both' || this.#configured === era;
    if (this.#isFresh(era)) return true;
    return this.#isFresh(refusedKey(era, caller)) ? false : undefined;
  }

  #isFresh(key: string): boolean {
    const at = this.#found.get(key);
    return at !== undefined && this.#now() - at < FRESH;
  }

  /** The server has done what no server of another era does. */
  saw(era: Era): void {
    this.#found.set(era, this.#now());
  }

  /**
   * Asks the server. One request of a user asks, the others wait for it.
   *
   * @throws where the server gives no answer that says it: nothing is learnt then
   */
  ask(era: Era, caller: Caller | undefined): Promise<boolean> {
    const known = this.speaks(era, caller);
    if (known !== undefined) return Promise.resolve(known);
    const key = refusedKey(era, caller);
    const asking =
      this.#asking.get(key) ??
      this.#ask(era, caller).finally(() => {
        this.#asking.delete(key);
      });
    this.#asking.set(key, asking);
    return asking;
  }

  async #ask(era: Era, caller: Caller | undefined): Promise<boolean> {
    const speaks = await (era === 'modern' ? this.#discovers(caller) : this.#initializes(caller));
    if (speaks) this.saw(era);
    else this.#found.set(refusedKey(era, caller), this.#now());
    return speaks;
  }

  /** Servers of sessions may know the method as well, to say which revisions they speak. */
  async #discovers(caller: Caller | undefined): Promise<boolean> {
    const client = new ModernClient(this.#link, RELAY, { caller });
    const result = await unlessRefused(({ signal }) => client.discover(signal));
    const versions = Array.isArray(result?.supportedVersions) ? result.supportedVersions : [];
    return versions.some((version) => typeof version === 'string' && eraOf(version) === 'modern');
  }

  /** The session that comes of it is ended at once. */
  async #initializes(caller: Caller | undefined): Promise<boolean> {
    const { capabilities, clientInfo } = RELAY;
    const params = { protocolVersion: LEGACY_VERSIONS[0], capabilities, clientInfo };
    const request = { id: 'initialize', method: 'initialize', params };
    const sessions = new HttpSessions(this.#link);
    const opened = await unlessRefused(({ signal }) => sessions.open(request, { caller }, signal));
    if (opened === undefined) return false;
    void sessions.find(opened.id, { caller, version: sessionVersion(opened.result) }).server.close();
    return typeof opened.result.protocolVersion === 'string';
  }
}

function refusedKey(era: Era, caller: Caller | undefined): string {
  return JSON.stringify([era, ownerOf(caller)]);
}

/** Whether a request has failed so that the server may not know its era. */
export function mayRefuseEra(error: unknown): boolean {
  return (
    error instanceof ServerError || (error instanceof NoAnswer && [400, 404, 405, 406, 415].includes(error.status))
  );
}

/** @returns undefined where the server says, in whichever way, that it cannot read this */
async function unlessRefused<T>(ask: (options: { signal: AbortSignal }) => Promise<T>): Promise<T | undefined> {
  try {
    return await ask({ signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    if (mayRefuseEra(error)) return undefined;
    throw error;
  }
}
