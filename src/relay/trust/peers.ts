import { AddressList } from '../../platform/addresses.ts';

/** Where a proxy may sit when nothing is configured: on the same machine, where no stranger can connect from. */
const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/** The addresses from which a proxy may speak for users. */
export function createPeers(proxies: readonly string[] | undefined): AddressList {
  return new AddressList(proxies ?? LOOPBACK);
}
