import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { withoutBrackets } from './config/host-and-port.ts';

/** The machine itself: where nobody else can connect from. */
export const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1/128'];

export type AddressRange = [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * One address or CIDR range (RFC 4632, RFC 4291 §2.3).
 *
 * @throws Error where it is neither. Octal, hexadecimal and shortened IPv4 forms are refused too: `010.0.0.0/8` would
 * otherwise trust 8.0.0.0/8.
 */
export function parseRange(text: string): AddressRange {
  const address4 = text.split('/')[0] as string;
  if (!text.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(address4))
    throw new Error(`"${text}" is not an address`);
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** A set of peers. Answers are remembered per socket, because the same few proxies ask all the time. */
export class AddressList {
  readonly #ranges: readonly AddressRange[];
  readonly #known = new WeakMap<Socket, boolean>();

  constructor(ranges: readonly string[]) {
    this.#ranges = ranges.map(parseRange);
  }

  has(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return this.#ranges.some(([range, bits]) => parsed.kind() === range.kind() && parsed.match(range as never, bits));
  }

  hasPeer(socket: Socket): boolean {
    let known = this.#known.get(socket);
    if (known === undefined) {
      known = this.has(socket.remoteAddress ?? '');
      this.#known.set(socket, known);
    }
    return known;
  }
}

/**
 * The client in an `X-Forwarded-For`, to which every proxy adds the address that it sees: what stands before the entries of
 * the operator's own proxies, the client wrote itself.
 *
 * @param hops proxies of the operator; with fewer entries the first is all that is known
 */
export function addressBehind(forwardedFor: string, hops: number): string {
  if (hops === 1) return forwardedFor.slice(forwardedFor.lastIndexOf(',') + 1).trim();
  const entries = forwardedFor.split(',');
  return (entries[Math.max(0, entries.length - hops)] as string).trim();
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}

/** Whether what goes to a URL can be read on the way: plain http to another machine. */
export function isPlainOffLoopback(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  const isPlain = protocol === 'http:' || protocol === 'ws:';
  return isPlain && !isLoopback(withoutBrackets(hostname)) && !/(?:^|\.)localhost$/.test(hostname);
}
