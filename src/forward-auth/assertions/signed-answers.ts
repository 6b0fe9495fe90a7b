import { LRUCache } from 'lru-cache';
import { signAssertion } from '../../identity/assertion.ts';
import type { Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import { PresetHeaders, type PresetName } from '../../identity/presets.ts';
import type { SigningKeys } from '../../platform/signing-keys.ts';
import type { CheckRequest } from '../decision/request.ts';
import { allowHeaders } from '../proxies/render.ts';

/** Answers remembered; the least recently given one goes first. */
const MAX_ANSWERS = 20_000;
/** Characters of all of them together: paths are the client's choice, and as long as it likes. */
const MAX_SIZE = 32 * 1024 * 1024;

interface SignedAnswer {
  readonly headers: string[];
  /** Unix time in milliseconds until which it is given again. */
  readonly until: number;
  readonly kid: string;
  /** Presets of the rule, whose list is one object as long as the configuration lives. */
  readonly emit: readonly PresetName[] | undefined;
  /** One object for each rule and identity. */
  readonly demand: OperationDemand | undefined;
}

export interface AssertionSettings {
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds. */
  readonly lifetime: number;
}

/**
 * The headers of an allow with a signed assertion. A signature is as dear as everything else together, so an answer is
 * given again for the same identity, method, host and path during a third of its lifetime.
 */
export class SignedAnswers {
  readonly #keys: SigningKeys;
  readonly #settings: AssertionSettings;
  readonly #now: () => number;
  readonly #presets: PresetHeaders;
  /** Identities live in the cache of verified tokens; a number stands for each of them, and is never given twice. */
  readonly #numbers = new WeakMap<Identity, number>();
  #lastNumber = 0;
  readonly #answers = new LRUCache<string, SignedAnswer>({
    max: MAX_ANSWERS,
    maxSize: MAX_SIZE,
    sizeCalculation: ({ headers }, binding) => headers.reduce((size, text) => size + text.length, binding.length),
  });

  /**
   * @param now milliseconds
   * @param presets headers of other products that an answer can carry
   */
  constructor(
    keys: SigningKeys,
    settings: AssertionSettings,
    now: () => number,
    presets: PresetHeaders = new PresetHeaders([]),
  ) {
    this.#keys = keys;
    this.#settings = settings;
    this.#now = now;
    this.#presets = presets;
  }

  /** Characters of everything that is remembered. */
  get size(): number {
    return this.#answers.calculatedSize;
  }

  /**
   * @param emit presets of the rule that allows the request
   * @param demand what the reader of the body must still ask
   * @returns names and values alternating, for `writeHead(200, …)`
   */
  headersFor(
    identity: Identity,
    request: Pick<CheckRequest, 'method' | 'host' | 'rawPath'>,
    emit?: readonly PresetName[],
    demand?: OperationDemand,
  ): string[] {
    const { method, host, rawPath } = request;
    const binding = `${this.#numberOf(identity)} ${method} ${host}${rawPath}`;
    const now = this.#now();
    const key = this.#keys.current();
    const known = this.#answers.get(binding);
    const fits = known !== undefined && known.kid === key.kid && known.emit === emit && known.demand === demand;
    if (fits && now < known.until) return known.headers;

    const { issuer, audience, lifetime } = this.#settings;
    const assertion = signAssertion(
      key,
      identity,
      { method, host, path: rawPath },
      { issuer, audience, issuedAt: Math.floor(now / 1000), lifetime: Math.floor(lifetime / 1000) },
      demand,
    );
    const headers = allowHeaders(identity, assertion, this.#presets.write(identity, emit));
    this.#answers.set(binding, { headers, until: now + lifetime / 3, kid: key.kid, emit, demand });
    return headers;
  }

  #numberOf(identity: Identity): number {
    let number = this.#numbers.get(identity);
    if (number === undefined) {
      number = ++this.#lastNumber;
      this.#numbers.set(identity, number);
    }
    return number;
  }
}
