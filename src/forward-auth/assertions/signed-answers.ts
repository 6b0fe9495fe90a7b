import { signAssertion } from '../../identity/assertion.ts';
import type { Identity } from '../../identity/identity.ts';
import { PresetHeaders, type PresetName } from '../../identity/presets.ts';
import type { CheckRequest } from '../decision/request.ts';
import { allowHeaders } from '../proxies/render.ts';
import type { SigningKeys } from './signing-keys.ts';

/** Paths are the client's choice, so only so many are remembered for one identity. */
const MAX_PER_IDENTITY = 64;

interface SignedAnswer {
  readonly headers: string[];
  /** Unix time in milliseconds until which it is given again. */
  readonly until: number;
  readonly kid: string;
  /** Presets of the rule, whose list is one object as long as the configuration lives. */
  readonly emit: readonly PresetName[] | undefined;
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
  /** Identities live in the cache of verified tokens: what it forgets is forgotten here too. */
  readonly #answers = new WeakMap<Identity, Map<string, SignedAnswer>>();

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

  /**
   * @param emit presets of the rule that allows the request
   * @returns names and values alternating, for `writeHead(200, …)`
   */
  headersFor(
    identity: Identity,
    request: Pick<CheckRequest, 'method' | 'host' | 'rawPath'>,
    emit?: readonly PresetName[],
  ): string[] {
    let answers = this.#answers.get(identity);
    if (answers === undefined) {
      answers = new Map();
      this.#answers.set(identity, answers);
    }
    const { method, host, rawPath } = request;
    const binding = `${method} ${host}${rawPath}`;
    const now = this.#now();
    const key = this.#keys.current();
    const known = answers.get(binding);
    if (known !== undefined && now < known.until && known.kid === key.kid && known.emit === emit) return known.headers;

    const { issuer, audience, lifetime } = this.#settings;
    const assertion = signAssertion(
      key,
      identity,
      { method, host, path: rawPath },
      { issuer, audience, issuedAt: Math.floor(now / 1000), lifetime: Math.floor(lifetime / 1000) },
    );
    const headers = allowHeaders(identity, assertion, this.#presets.write(identity, emit));
    if (known === undefined && answers.size >= MAX_PER_IDENTITY) answers.delete(answers.keys().next().value as string);
    answers.set(binding, { headers, until: now + lifetime / 3, kid: key.kid, emit });
    return headers;
  }
}
