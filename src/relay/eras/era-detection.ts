import { LRUCache } from 'lru-cache';
import { version } from '../../platform/version.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { NoAnswer, ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { type Era, eraOf, FIRST_MODERN, LEGACY_VERSIONS } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import { LegacyClient } from '../upstreams/legacy-client.ts';
import { ModernClient } from '../upstreams/modern-client.ts';
import { ignoreMessage, ownerOf, type RequestOptions, type UpstreamLink } from '../upstreams/upstream-request.ts';

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
  readonly #configured: Readonly<Record<Era, boolean>> | undefined;
  readonly #found = new LRUCache<string, number>({ max: MAX_FOUND });
  readonly #asking = new Map<string, Promise<boolean>>();

  /**
   * @param configured undefined: found out by asking
   * @param now milliseconds
   */
  constructor(configured: Era | undefined, link: UpstreamLink, now: () => number) {
    this.#configured =
      configured === undefined ? undefined : { legacy: configured === 'legacy', modern: configured === 'modern' };
    this.#link = link;
    this.#now = now;
  }

  /** Undefined: not known, or so long ago that it has to be looked at again. */
  speaks(era: Era, caller: Caller | undefined): boolean | undefined {
    if (this.#configured !== undefined) return this.#configured[era];
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
    const client = new LegacyClient(this.#link, { caller });
    const params = { ...RELAY, protocolVersion: LEGACY_VERSIONS[0] };
    const message = { jsonrpc: '2.0', id: 'initialize', method: 'initialize', params };
    const result = await unlessRefused((options) => client.post(message, options));
    void client.close();
    return typeof result?.protocolVersion === 'string';
  }
}

function refusedKey(era: Era, caller: Caller | undefined): string {
  return JSON.stringify([era, ownerOf(caller)]);
}

/** @returns undefined where the server says, in whichever way, that it cannot read this */
async function unlessRefused(ask: (options: RequestOptions) => Promise<Json>): Promise<Json | undefined> {
  try {
    return await ask({ signal: AbortSignal.timeout(PATIENCE), onMessage: ignoreMessage });
  } catch (error) {
    if (error instanceof ServerError) return undefined;
    if (error instanceof NoAnswer && [400, 404, 405, 406, 415].includes(error.status)) return undefined;
    throw error;
  }
}
