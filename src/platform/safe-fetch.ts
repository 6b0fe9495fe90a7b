import { lookup as resolve } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, fetch as send } from 'undici';
import { withLinkedSignal } from './abort.ts';
import { AddressList } from './addresses.ts';
import { withoutBrackets } from './config/host-and-port.ts';
import { knownAuthorities } from './outbound/authorities.ts';
import { outboundConnector } from './outbound/connections.ts';

export interface SafeFetchOptions {
  /** CIDR ranges that may be reached although they are not public. */
  readonly allowedRanges?: readonly string[];
  /** Origins that the configuration names: whatever their address is, and without TLS where they are written so. */
  readonly allowedOrigins?: readonly string[];
  /** Authorities beside those of the system, PEM. */
  readonly ca?: string;
  /** Milliseconds for the whole answer. */
  readonly timeout?: number;
  /** Bytes of an answer, unpacked. */
  readonly maxBytes?: number;
  readonly resolver?: typeof resolve;
}

/** The address was not asked, or what it answered is not taken. The message names the origin, never path or content. */
export class FetchRefused extends Error {
  override readonly name = 'FetchRefused';
}

const TIMEOUT = 5_000;
const MAX_BYTES = 512 * 1024;

/**
 * A `fetch` for addresses that strangers name: https only, public addresses only, no redirects, within limits. The check
 * sits in the socket's own look-up, so that a name cannot resolve to one address for the check and to another for the
 * connection (DNS rebinding).
 */
export function createSafeFetch(options: SafeFetchOptions = {}): typeof fetch & { close(): Promise<void> } {
  const { timeout = TIMEOUT, maxBytes = MAX_BYTES } = options;
  const allowed = new AddressList(options.allowedRanges ?? []);
  const origins = new Set(options.allowedOrigins?.map((url) => new URL(url).origin));
  const mayReach = (address: string) => isPublic(address) || allowed.has(address);
  const ca = options.ca === undefined ? {} : { ca: [...knownAuthorities(), options.ca] };
  const lookup = checked(options.resolver ?? resolve, mayReach);
  const named = new Agent({ connect: outboundConnector({ timeout, ...ca }) });
  const strange = new Agent({ connect: outboundConnector({ timeout, ...ca, lookup }, vetted(lookup)) });

  const safeFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const known = origins.has(url.origin);
    if (!known) refuseStrange(url, mayReach);
    const ask = async (signal: AbortSignal) => {
      const request = { ...init, redirect: 'error', signal, dispatcher: known ? named : strange };
      // undici's own types of the same web interfaces differ from Node's.
      const response = (await send(url, request as never)) as unknown as Response;
      return bounded(response, url.origin, maxBytes);
    };
    return withLinkedSignal(init.signal == null ? [] : [init.signal], ask, timeout);
  };
  const close = async () => {
    await Promise.all([named.destroy(), strange.destroy()]);
  };
  return Object.assign(safeFetch, { close });
}

function refuseStrange(url: URL, mayReach: (address: string) => boolean): void {
  if (url.protocol !== 'https:') throw new FetchRefused(`${url.origin} is not asked: only https is`);
  if (url.username !== '' || url.password !== '') throw new FetchRefused(`${url.origin} is not asked: it names a user`);
  // A socket does not look up what is an address already.
  const literal = withoutBrackets(url.hostname);
  if (ipaddr.isValid(literal) && !mayReach(literal))
    throw new FetchRefused(`${url.origin} is not asked: its address is not public`);
}

/**
 * Everything but ordinary unicast is some kind of inside: loopback, private, link-local, mapped, translated, tunnelled. Of IPv6 only
 * what is assigned to the internet (2000::/3, RFC 4291 §2.4) without the special addresses in it (2001::/23, RFC 2928).
 */
function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed.kind() === 'ipv4') return true;
  const [high = 0, next = 0] = (parsed as ipaddr.IPv6).parts;
  return (high & 0xe000) === 0x2000 && !(high === 0x2001 && next < 0x200);
}

function checked(resolver: typeof resolve, mayReach: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolver(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '');
      // One inside address among several is no slip of the pen.
      if (addresses.length === 0 || !addresses.every(({ address }) => mayReach(address)))
        return callback(new FetchRefused(`${hostname} is not asked: its address is not public`), '');
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      callback(null, first?.address ?? '', first?.family);
    });
  };
}

/**
 * A proxy looks the name up itself, so what is seen here is a first guard only: a name that leads inside is refused, and one
 * that this machine does not know, as in networks whose proxy alone has the internet's names, is left to the proxy.
 */
function vetted(lookup: LookupFunction): (host: string) => Promise<void> {
  return (host) =>
    new Promise((resolve, reject) => {
      lookup(host, { all: true }, (error) => (error instanceof FetchRefused ? reject(error) : resolve()));
    });
}

/** Read here and whole, so that a limit holds for what a packed answer becomes. */
async function bounded(response: Response, origin: string, maxBytes: number): Promise<Response> {
  const { status, statusText } = response;
  const headers = new Headers([...response.headers]);
  headers.delete('content-encoding');
  headers.delete('content-length');
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new FetchRefused(`${origin} answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const bodiless = status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : Buffer.concat(chunks), { status, statusText, headers });
}
