import { signAssertion } from '../../identity/assertion.ts';
import type { Credential } from '../../identity/credential.ts';
import type { Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import { PresetHeaders, type PresetName } from '../../identity/presets.ts';
import type { UserName } from '../../identity/user.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { SigningKeys } from '../../platform/signing-keys.ts';
import type { CheckRequest } from '../decision/request.ts';
import { allowHeaders } from '../proxies/render.ts';

/** Answers remembered; the least recently given one goes first. */
const MAX_ANSWERS = 20_000;
/** Characters of all of them together: paths are the client's choice, and as long as it likes. */
const MAX_SIZE = 24 * 1024 * 1024;

/** What is asked again and again: the last request of somebody, with its answer while that is remembered. */
interface Person {
  /** Stands for the identity, which lives in the cache of verified tokens; never given twice. */
  readonly number: number;
  method: string;
  host: string;
  rawPath: string;
  last: SignedAnswer | undefined;
}

interface SignedAnswer {
  readonly person: Person;
  readonly headers: string[];
  /** Unix time in milliseconds until which it is given again. */
  readonly until: number;
  readonly kid: string;
  /** Presets of the rule, whose list is one object as long as the configuration lives. */
  readonly emit: readonly PresetName[] | undefined;
  /** One object for each rule and identity. */
  readonly demand: OperationDemand | undefined;
  /** Of two sessions of one person each has its own. */
  readonly credential: Credential | undefined;
}

export interface AssertionSettings {
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds. */
  readonly lifetime: number;
  /** Which names of a user are told beside `email` and `name`, which always are. */
  readonly names?: readonly UserName[];
}

export interface AnswerDetails {
  readonly emit?: readonly PresetName[] | undefined;
  readonly demand?: OperationDemand | undefined;
  readonly credential?: Credential | undefined;
}

const NO_DETAILS: AnswerDetails = {};

/**
 * The headers of an allow with a signed assertion. A signature is as dear as everything else together, so an answer is
 * given again for the same identity, method, host and path during a third of its lifetime.
 */
export class SignedAnswers {
  readonly #keys: SigningKeys;
  readonly #settings: AssertionSettings;
  readonly #now: () => number;
  readonly #presets: PresetHeaders;
  readonly #people = new WeakMap<Identity, Person>();
  #lastNumber = 0;
  readonly #answers = new BoundedCache<string, SignedAnswer>({
    max: MAX_ANSWERS,
    maxSize: MAX_SIZE,
    sizeCalculation: ({ headers }, binding) => headers.reduce((size, text) => size + text.length, binding.length),
    // What is forgotten here may not live on there: only together they are bounded.
    dispose: (answer) => {
      if (answer.person.last === answer) forget(answer.person);
    },
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
   * @param details `emit`: presets of the rule that allows the request; `demand`: what the reader of the body must still ask;
   *   `credential`: what the identity rests on
   * @returns names and values alternating, for `writeHead(200, …)`
   */
  headersFor(
    identity: Identity,
    request: Pick<CheckRequest, 'method' | 'host' | 'rawPath'>,
    details: AnswerDetails = NO_DETAILS,
  ): string[] {
    const { method, host, rawPath } = request;
    const now = this.#now();
    const key = this.#keys.current();
    const person = this.#personOf(identity);
    // Most people ask for one thing again and again: three comparisons instead of a text that is put together and looked up.
    const { last } = person;
    const same = person.rawPath === rawPath && person.host === host && person.method === method;
    if (same && isGood(last, key.kid, now, details)) return last.headers;
    const { emit, demand, credential } = details;
    const rests = credential === undefined ? '' : `${credential.handle} ${credential.expiresAt}`;
    const binding = `${person.number} ${rests} ${method} ${host}${rawPath}`;
    const known = this.#answers.get(binding);
    if (isGood(known, key.kid, now, details)) return remember(person, request, known);

    const { issuer, audience, lifetime, names } = this.#settings;
    const username = names?.includes('username') ? identity.username : undefined;
    const assertion = signAssertion(
      key,
      identity,
      { method, host, path: rawPath },
      { issuer, audience, issuedAt: Math.floor(now / 1000), lifetime: Math.floor(lifetime / 1000), username },
      demand,
      credential,
    );
    const headers = allowHeaders(identity, assertion, this.#presets.write(identity, emit));
    const answer: SignedAnswer = { person, headers, until: now + lifetime / 3, kid: key.kid, emit, demand, credential };
    this.#answers.set(binding, answer);
    return this.#answers.has(binding) ? remember(person, request, answer) : headers;
  }

  #personOf(identity: Identity): Person {
    let person = this.#people.get(identity);
    if (person === undefined) {
      this.#lastNumber += 1;
      person = { number: this.#lastNumber, method: '', host: '', rawPath: '', last: undefined };
      this.#people.set(identity, person);
    }
    return person;
  }
}

/** Whether it would be made in the same way now. */
function isGood(
  answer: SignedAnswer | undefined,
  kid: string,
  now: number,
  { emit, demand, credential }: AnswerDetails,
): answer is SignedAnswer {
  if (answer === undefined || now >= answer.until) return false;
  if (answer.kid !== kid || answer.emit !== emit || answer.demand !== demand) return false;
  return (
    answer.credential === credential ||
    (answer.credential?.handle === credential?.handle && answer.credential?.expiresAt === credential?.expiresAt)
  );
}

function forget(person: Person): void {
  person.last = undefined;
  person.rawPath = '';
}

function remember(
  person: Person,
  { method, host, rawPath }: Pick<CheckRequest, 'method' | 'host' | 'rawPath'>,
  answer: SignedAnswer,
): string[] {
  person.method = method;
  person.host = host;
  person.rawPath = rawPath;
  person.last = answer;
  return answer.headers;
}
