import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { IDENTITY_HEADERS } from '../../identity/headers.ts';
import type { Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import type { AddressList } from '../../platform/addresses.ts';
import type { Refusal } from '../refusal.ts';
import type { AssertionCheck, AssertionResult } from './assertion.ts';
import type { RequestHeaders } from './headers.ts';
import { mayBeTwo } from './presets/field-value.ts';
import type { Preset, Reading } from './presets/preset.ts';

/** What somebody's credential says: nothing (`absent`, with what to say where one is needed), a person, or a lie. */
export type Claim =
  | { kind: 'absent'; refusal: Refusal }
  | {
      kind: 'claimed';
      identity: Identity;
      /** Unix time in milliseconds at which the credential ends, where the relay knows. */
      expiresAt?: number | undefined;
      /** Handle of the credential, where it can be taken back. */
      credential?: string | undefined;
      /** What forward-auth leaves to the reader of the body to ask. */
      demand?: OperationDemand | undefined;
      /** Somebody sent identity headers beside the proof. */
      spoofed?: boolean;
    }
  | { kind: 'rejected'; refusal: Refusal };

const USER = IDENTITY_HEADERS.user.toLowerCase();
const ASSERTION = IDENTITY_HEADERS.assertion.toLowerCase();

/** What a proxy must show before a word of it is believed. */
export interface ProxyProofs {
  /** Absent: any address, because the preset proves itself. */
  readonly peers: AddressList | undefined;
  readonly secretMatches: ((given: string | undefined) => boolean) | undefined;
  readonly secretHeader: string;
  readonly certificateFits?: ((socket: Socket) => boolean) | undefined;
  readonly assertion: AssertionCheck | undefined;
}

/** Reads the identity that a proxy sent, after the proxy has proved itself in every way that is configured. */
export class ProxyClaims {
  readonly #preset: Preset;
  readonly #proofs: ProxyProofs;

  constructor(preset: Preset, proofs: ProxyProofs) {
    this.#preset = preset;
    this.#proofs = proofs;
  }

  read(request: IncomingMessage, headers: RequestHeaders): Claim | Promise<Claim> {
    const unproven = this.#unproven(request, headers);
    if (unproven !== undefined) return unproven;
    const reading = this.#preset.read(headers.get);
    return reading instanceof Promise
      ? reading.then((settled) => this.#settle(settled, request, headers))
      : this.#settle(reading, request, headers);
  }

  #unproven(request: IncomingMessage, headers: RequestHeaders): Claim | undefined {
    const { peers, secretMatches, secretHeader, certificateFits } = this.#proofs;
    if (peers?.hasPeer(request.socket) === false) return unproven(headers, request, 'unproven_peer', PEER_FIX);
    if (secretMatches?.(headers.get(secretHeader.toLowerCase())) === false)
      return unproven(headers, request, 'proxy_secret', `it sent no ${secretHeader} or a wrong one`);
    if (certificateFits?.(request.socket) === false)
      return unproven(headers, request, 'proxy_certificate', CERTIFICATE_FIX);
    return undefined;
  }

  #settle(reading: Reading, request: IncomingMessage, headers: RequestHeaders): Claim | Promise<Claim> {
    if (reading.kind === 'refused') return reject(reading.reason, reading.fix, reading.headers);
    const { assertion } = this.#proofs;
    if (assertion !== undefined) return this.#withAssertion(assertion, reading, request, headers);
    if (reading.kind === 'absent') return this.#noUser(request, headers);
    const signed = this.#preset.signature !== undefined;
    const joined = signed ? undefined : this.#joinedHeader(reading.identity);
    if (joined !== undefined)
      return reject('identity_malformed', `${joined} holds a comma, so that it may be two headers joined by a proxy`);
    const spoofed = signed && headers.unread;
    return { kind: 'claimed', identity: reading.identity, expiresAt: reading.expiresAt, spoofed };
  }

  /** The header that may be two, where no signature says otherwise: a rule would compare both as one name. */
  #joinedHeader({ subject, issuer }: Identity): string | undefined {
    if (mayBeTwo(subject)) return this.#preset.userHeader;
    return mayBeTwo(issuer) ? IDENTITY_HEADERS.issuer : undefined;
  }

  #withAssertion(
    check: AssertionCheck,
    reading: Exclude<Reading, { kind: 'refused' }>,
    request: IncomingMessage,
    headers: RequestHeaders,
  ): Claim | Promise<Claim> {
    const jwt = headers.get(ASSERTION);
    if (jwt === undefined || jwt === '') {
      if (reading.kind === 'absent') return this.#noUser(request, headers);
      return reject(
        'assertion_missing',
        `the proxy at ${address(request)} sent a user but no ${IDENTITY_HEADERS.assertion}`,
      );
    }
    const result = check.check(jwt, {
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] as string,
      hosts: [headers.get('host'), headers.get('x-forwarded-host')],
    });
    return result instanceof Promise
      ? result.then((r) => this.#asserted(r, reading, request, headers))
      : this.#asserted(result, reading, request, headers);
  }

  /** The signature speaks; the plain header may only agree with it. */
  #asserted(
    result: AssertionResult,
    reading: Exclude<Reading, { kind: 'refused' }>,
    request: IncomingMessage,
    headers: RequestHeaders,
  ): Claim {
    if ('refusal' in result) return { kind: 'rejected', refusal: result.refusal };
    const { identity, demand, credential } = result;
    if ((reading.kind === 'read' ? reading.identity.subject : '') !== identity.subject)
      return reject('assertion_user', `${this.#preset.userHeader} and the assertion name different users`);
    if (identity.method === 'anonymous') return this.#noUser(request, headers);
    const { expiresAt, handle } = credential;
    return { kind: 'claimed', identity, expiresAt, credential: handle, demand };
  }

  #noUser(request: IncomingMessage, headers: RequestHeaders): Claim {
    const { userHeader, signature } = this.#preset;
    return {
      kind: 'absent',
      refusal: unauthorized(
        signature !== undefined && headers.unread ? 'spoof_attempt' : 'no_identity',
        `the proxy at ${address(request)} sent no ${userHeader}${this.#hint(request, headers)}`,
      ),
    };
  }

  /** What an operator has most likely forgotten. */
  #hint(request: IncomingMessage, headers: RequestHeaders): string {
    const { userHeader } = this.#preset;
    const ours = userHeader.toLowerCase() !== USER && headers.get(USER) ? USER : undefined;
    const other = headers.foreign ?? ours;
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
  const fix = `${address(request)} is not a proven proxy: ${why}`;
  return { kind: 'absent', refusal: unauthorized(headers.claimsIdentity ? 'spoof_attempt' : reason, fix) };
}

function reject(reason: Refusal['reason'], fix: string, headers?: Readonly<Record<string, string>>): Claim {
  return {
    kind: 'rejected',
    refusal: {
      ...unauthorized(reason, fix),
      message: 'the identity of the request could not be verified',
      ...(headers === undefined ? {} : { headers }),
    },
  };
}

export function unauthorized(reason: Refusal['reason'], fix: string): Refusal {
  return { status: 401, reason, message: 'authentication is required', fix };
}

function address(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'an unknown address';
}
