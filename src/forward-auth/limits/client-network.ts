import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';

/** Parsing costs more than a look-up, and the same clients come again. */
const known = new LRUCache<string, string>({ max: 10_000 });
/** Characters; the longest address there is, with a zone. */
const MAX_LENGTH = 64;

/**
 * What counts as one client: an IPv4 address, or an IPv6 /64, which is what one subscriber gets (RFC 6177 §2) and could
 * otherwise count as 2^64 clients.
 *
 * @returns empty for what is no address: all such clients are one
 */
export function clientNetwork(address: string): string {
  if (address.length > MAX_LENGTH) return '';
  let network = known.get(address);
  if (network === undefined) {
    network = parse(address);
    known.set(address, network);
  }
  return network;
}

function parse(address: string): string {
  // Shortened and octal forms of IPv4 would be several spellings of one client.
  if (!address.includes(':')) return ipaddr.IPv4.isValidFourPartDecimal(address) ? address : '';
  if (!ipaddr.isValid(address)) return '';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${(parsed as ipaddr.IPv6).parts.slice(0, 4).join(':')}/64`;
}
