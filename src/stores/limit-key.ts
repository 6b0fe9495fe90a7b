import { digestOf } from '../platform/digest.ts';
import { clientNetwork } from '../platform/networks.ts';

declare const KEY: unique symbol;

/**
 * What a limiter counts. Text alone is none: an address must become the network of its client first, because one subscriber has 2^64
 * addresses of IPv6.
 */
export type LimitKey = string & { readonly [KEY]: true };

/** One client, by its address. All whose address nobody knows are one. */
export function clientKey(address: string): LimitKey {
  return hashed(clientNetwork(address));
}

/** Anything but a client: a person, a credential, a server, everybody. */
export function namedKey(name: string): LimitKey {
  return hashed(name);
}

/** A client may choose what is counted: hashed, it has one size and harmless characters, and names nobody in the store. */
function hashed(key: string): LimitKey {
  return digestOf(key) as LimitKey;
}
