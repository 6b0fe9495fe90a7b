import ipaddr from 'ipaddr.js';
import { BoundedCache } from './bounded-cache.ts';

/** Bits of a network, by kind of address. */
export interface NetworkSizes {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** An IPv4 address, or the IPv6 network of one subscriber (RFC 6177 §2). */
export const ONE_CLIENT: NetworkSizes = { ipv4: 32, ipv6: 64 };

/** Addresses remembered, because the same come again. */
const MAX_KNOWN = 10_000;
/** Characters; the longest address there is, with a zone. */
const MAX_LENGTH = 64;

/** Names the networks that addresses are in. */
export class Networks {
  readonly #sizes: NetworkSizes;
  readonly #known = new BoundedCache<string, string>({ max: MAX_KNOWN });

  constructor(sizes: NetworkSizes) {
    this.#sizes = sizes;
  }

  /** @returns such as `192.0.2.0/24`; empty for what is not an address */
  of(address: string): string {
    if (address.length > MAX_LENGTH) return '';
    let network = this.#known.get(address);
    if (network === undefined) {
      network = this.#name(address);
      this.#known.set(address, network);
    }
    return network;
  }

  #name(address: string): string {
    if (!address.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(address)) return '';
    if (!ipaddr.isValid(address)) return '';
    const parsed = ipaddr.process(address);
    const bits = parsed.kind() === 'ipv4' ? this.#sizes.ipv4 : this.#sizes.ipv6;
    const family = parsed.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6;
    return `${family.networkAddressFromCIDR(`${withoutZone(parsed.toString())}/${bits}`).toString()}/${bits}`;
  }
}

/** A zone (`%eth0`) names an interface of one machine. */
function withoutZone(address: string): string {
  return address.split('%')[0] as string;
}

const clients = new Networks(ONE_CLIENT);

/**
 * What counts as one client: an IPv4 address, or an IPv6 /64, which is what one subscriber gets and could otherwise count as 2^64
 * clients.
 *
 * @returns empty for what is not an address: all such clients are one
 */
export function clientNetwork(address: string): string {
  return clients.of(address);
}
