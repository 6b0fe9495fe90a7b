import { type AssertionBinding, signAssertion } from '../../identity/assertion.ts';
import { IDENTITY_HEADERS, toHeaders } from '../../identity/headers.ts';
import { ANONYMOUS } from '../../identity/identity.ts';
import type { SigningKeys } from '../../platform/signing-keys.ts';
import type { HeaderSource } from './outgoing-headers.ts';

export interface RelayAssertions {
  readonly keys: Pick<SigningKeys, 'current'>;
  readonly issuer: string;
  /** Milliseconds. */
  readonly lifetime: number;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** Every identity header, empty where there is no value: a server never sees what a client wrote into one. */
export const identityHeaders: HeaderSource = ({ caller }) =>
  toHeaders(caller?.identity ?? ANONYMOUS, '')
    .filter(([name]) => name !== IDENTITY_HEADERS.assertion)
    .flat();

/**
 * An assertion of the relay's own for this one server. Forward-auth's, which is worth something at the relay, stays here: a
 * server that holds it could show it to another.
 *
 * @param audience the server's resource identifier (RFC 8707)
 */
export function assertionHeader(url: URL, audience: string, assertions: RelayAssertions): HeaderSource {
  return ({ caller, method }) => {
    const binding = { method, host: url.host, path: url.pathname };
    return [IDENTITY_HEADERS.assertion, assertFor(caller?.identity ?? ANONYMOUS, audience, binding, assertions)];
  };
}

export function assertFor(
  identity: Parameters<typeof signAssertion>[1],
  audience: string,
  binding: AssertionBinding,
  { keys, issuer, lifetime, now }: RelayAssertions,
): string {
  return signAssertion(keys.current(), identity, binding, {
    issuer,
    audience,
    issuedAt: Math.floor(now() / 1000),
    lifetime: Math.floor(lifetime / 1000),
  });
}
