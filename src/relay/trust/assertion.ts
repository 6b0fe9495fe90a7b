import { type VerifiedAssertion, verifyAssertion } from '../../identity/assertion.ts';
import type { Refusal } from '../refusal.ts';
import type { KeySource } from './keys.ts';
import { describeTokenFailure } from './verification-failure.ts';
import { VerifiedCache } from './verified-cache.ts';

/** The request at hand, to be compared with the one that the assertion was made for. */
export interface AssertedRequest {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  /** `Host` and `X-Forwarded-Host`: proxies differ in which of the two keeps the client's. */
  readonly hosts: readonly (string | undefined)[];
}

export type AssertionResult = Pick<VerifiedAssertion, 'identity' | 'credential' | 'demand'> | { refusal: Refusal };

/** Verifies assertions; answers at once for one that was verified before. */
export class AssertionCheck {
  readonly #keys: KeySource;
  readonly #expected: { issuer: string; audience: string; clockTolerance: number };
  readonly #now: () => number;
  readonly #verified: VerifiedCache<VerifiedAssertion>;

  /** @param expected `clockTolerance` in milliseconds */
  constructor(
    keys: KeySource,
    expected: { issuer: string; audience: string; clockTolerance: number },
    now: () => number,
  ) {
    this.#keys = keys;
    this.#expected = expected;
    this.#now = now;
    this.#verified = new VerifiedCache(now);
  }

  /** @throws DependencyUnavailable where the keys cannot be had */
  check(jwt: string, request: AssertedRequest): AssertionResult | Promise<AssertionResult> {
    const known = this.#verified.get(jwt);
    return known === undefined ? this.#verify(jwt, request) : bind(known, request);
  }

  async #verify(jwt: string, request: AssertedRequest): Promise<AssertionResult> {
    const { clockTolerance } = this.#expected;
    const clock = { now: this.#now(), clockTolerance, key: 'relay.trust.assertion.clockTolerance' };
    try {
      const verified = await verifyAssertion(jwt, this.#keys.getKey, {
        issuer: this.#expected.issuer,
        audience: this.#expected.audience,
        now: new Date(clock.now),
        clockTolerance: clockTolerance / 1000,
      });
      this.#verified.set(jwt, verified, verified.expiresAt);
      return bind(verified, request);
    } catch (error) {
      const why = describeTokenFailure(error, 'the source of assertion keys', clock);
      return refuse('assertion_invalid', `the assertion is not valid: ${why}`);
    }
  }
}

function bind(verified: VerifiedAssertion, request: AssertedRequest): AssertionResult {
  const { binding } = verified;
  if (binding.method !== request.method) return otherRequest(`method ${binding.method}`);
  if (binding.path !== request.path) return otherRequest(`path ${binding.path}`);
  // Traefik judges by X-Forwarded-Host, and sends an empty Host where that of HTTP/2 held a space: a server would act on none.
  if (request.hosts.includes('')) return otherRequest(`host ${binding.host}`);
  const host = canonicalHost(binding.host);
  if (!request.hosts.some((given) => given !== undefined && canonicalHost(given) === host))
    return otherRequest(`host ${binding.host}`);
  return verified;
}

/** Lower case, without the trailing dot of an absolute name and without a default port (RFC 9110 §4.2.3). */
function canonicalHost(host: string): string {
  const text = host.trim();
  // Forward-auth writes an IPv6 address in one way (RFC 5952); proxies pass on how the client wrote it.
  const address = /^\[[0-9a-f:.]+\](?=:|$)/i.exec(text)?.[0];
  const written =
    address !== undefined && URL.canParse(`http://${address}`) ? new URL(`http://${address}`).hostname : address;
  return (
    (address === undefined ? text : `${written}${text.slice(address.length)}`)
      .toLowerCase()
      // A port is a number, as forward-auth reads it: `:00080` is `:80`.
      .replace(/:0+(?=[0-9]+$)/, ':')
      .replace(/:(80|443)$/, '')
      .replace(/\.(?=:|$)/, '')
  );
}

function otherRequest(what: string): AssertionResult {
  return refuse(
    'assertion_binding',
    `the assertion was made for ${what}, not for this request; check what the proxy rewrites`,
  );
}

function refuse(reason: Refusal['reason'], fix: string): AssertionResult {
  return { refusal: { status: 401, reason, message: 'the identity of the request could not be verified', fix } };
}
