import { AddressList, LOOPBACK } from '../../platform/addresses.ts';

/** The addresses from which a proxy may speak for users; where nothing is configured, the same machine. */
export function createPeers(proxies: readonly string[] | undefined): AddressList {
  return new AddressList(proxies ?? LOOPBACK);
}
