import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { fromHeaders, IDENTITY_HEADERS } from '../../identity/headers.ts';
import { ANONYMOUS, type Identity } from '../../identity/identity.ts';
import type { AddressList } from '../../platform/addresses.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import type { Refusal } from '../refusal.ts';
import type { AssertionCheck, AssertionResult } from './assertion.ts';
import type { RequestHeaders } from './headers.ts';

/** What somebody's credential says: nothing (`absent`, with what to say where one is needed), a person, or a lie. */
export type Claim =
  | { kind: 'absent'; refusal: Refusal }
  | { kind: 'claimed'; identity: Identity }
  | { kind: 'rejected'; refusal: Refusal };

const USER = IDENTITY_HEADERS.user.toLowerCase();
const ASSERTION = IDENTITY_HEADERS.assertion.toLowerCase();

/** Reads the identity that a proxy sent, after the proxy has proved itself in every way that is configured. */
export class ProxyClaims {
  readonly #trust: RelayConfig['trust'];
  readonly #peers: AddressList;
  readonly #secretMatches: ((given: string | undefined) => boolean) | undefined;
  readonly #certificateFits: ((socket: Socket) => boolean) | undefined;
  readonly #assertion: AssertionCheck | undefined;
  readonly #userHeader: string;
  readonly #secretHeader: string;

  constructor(
    trust: RelayConfig['trust'],
    proofs: {
      peers: AddressList;
      secretMatches: ((given: string | undefined) => boolean) | undefined;
      certificateFits?: ((socket: Socket) => boolean) | undefined;
      assertion: AssertionCheck | undefined;
    },
  ) {
    this.#trust = trust;
    this.#peers = proofs.peers;
    this.#secretMatches = proofs.secretMatches;
    this.#certificateFits = proofs.certificateFits;
    this.#assertion = proofs.assertion;
    this.#userHeader = trust.userHeader.toLowerCase();
    this.#secretHeader = trust.secretHeader.toLowerCase();
  }

  read(request: IncomingMessage, headers: RequestHeaders): Claim | Promise<Claim> {
    if (!this.#peers.hasPeer(request.socket)) return unproven(headers, request, 'unproven_peer', PEER_FIX);
    if (this.#secretMatches?.(headers.get(this.#secretHeader)) === false)
      return unproven(headers, request, 'proxy_secret', `it sent no ${this.#trust.secretHeader} or a wrong one`);
    if (this.#certificateFits?.(request.socket) === false)
      return unproven(headers, request, 'proxy_certificate', CERTIFICATE_FIX);
    if (this.#assertion === undefined) return this.#believed(request, headers);
    const jwt = headers.get(ASSERTION);
    if (jwt === undefined || jwt === '') return this.#withoutAssertion(request, headers);
    const result = this.#assertion.check(jwt, {
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] as string,
      hosts: [headers.get('host'), headers.get('x-forwarded-host')],
    });
    return result instanceof Promise
      ? result.then((r) => this.#asserted(r, request, headers))
      : this.#asserted(result, request, headers);
  }

  #believed(request: IncomingMessage, headers: RequestHeaders): Claim {
    const identity = this.#identity(headers);
    return identity.subject === '' ? this.#noUser(request, headers) : { kind: 'claimed', identity };
  }

  #withoutAssertion(request: IncomingMessage, headers: RequestHeaders): Claim {
    if (this.#identity(headers).subject === '') return this.#noUser(request, headers);
    return reject(
      'assertion_missing',
      `the proxy at ${address(request)} sent a user but no ${IDENTITY_HEADERS.assertion}`,
    );
  }

  /** The signature speaks; the plain header may only agree with it. */
  #asserted(result: AssertionResult, request: IncomingMessage, headers: RequestHeaders): Claim {
    if ('refusal' in result) return { kind: 'rejected', refusal: result.refusal };
    const { identity } = result;
    if (this.#identity(headers).subject !== identity.subject)
      return reject('assertion_user', `${this.#trust.userHeader} and the assertion name different users`);
    return identity.method === 'anonymous' ? this.#noUser(request, headers) : { kind: 'claimed', identity };
  }

  #identity(headers: RequestHeaders): Identity {
    if (this.#trust.preset === 'postern')
      return fromHeaders((name) => headers.get(name === USER ? this.#userHeader : name));
    const subject = headers.get(this.#userHeader)?.trim() ?? '';
    return subject === '' ? ANONYMOUS : { ...ANONYMOUS, subject, method: 'bearer' };
  }

  #noUser(request: IncomingMessage, headers: RequestHeaders): Claim {
    return {
      kind: 'absent',
      refusal: unauthorized(
        'no_identity',
        `the proxy at ${address(request)} sent no ${this.#trust.userHeader}${this.#hint(request, headers)}`,
      ),
    };
  }

  /** What an operator has most likely forgotten. */
  #hint(request: IncomingMessage, headers: RequestHeaders): string {
    const other = headers.foreign ?? (this.#userHeader !== USER && headers.get(USER) ? USER : undefined);
    if (other !== undefined)
      return ` but ${other}: the header names differ; set PROXY_USER_HEADER (relay.trust.userHeader) to the one it sends, or a preset`;
    if (request.headers.upgrade !== undefined)
      return ' with a WebSocket upgrade: configure the proxy to check upgrade requests and to copy the identity headers to them';
    return '; check PROXY_USER_HEADER / authResponseHeaders, and that the proxy checks this path';
  }
}

const CERTIFICATE_FIX = 'it showed no client certificate with a name of relay.trust.certificates';
const PEER_FIX = 'add the address of the proxy to relay.trust.proxies if this is one';

function unproven(headers: RequestHeaders, request: IncomingMessage, reason: Refusal['reason'], why: string): Claim {
  const fix = `${address(request)} is no proven proxy: ${why}`;
  return { kind: 'absent', refusal: unauthorized(headers.claimsIdentity ? 'spoof_attempt' : reason, fix) };
}

function reject(reason: Refusal['reason'], fix: string): Claim {
  return {
    kind: 'rejected',
    refusal: { ...unauthorized(reason, fix), message: 'the identity of the request could not be verified' },
  };
}

export function unauthorized(reason: Refusal['reason'], fix: string): Refusal {
  return { status: 401, reason, message: 'authentication is required', fix };
}

function address(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'an unknown address';
}
