import { AddressList, isLoopback } from '../addresses.ts';
import type { Config } from './schema.ts';

/** Listeners that no trusted peer can reach, such as loopback in a container: `check` and the start say it. */
export function listenerWarnings({ auth, relay }: Pick<Config, 'auth' | 'relay'>): string[] {
  const listeners = [
    { key: 'auth', host: auth.listen.host, peers: 'auth.trustedProxies', ranges: auth.trustedProxies },
    { key: 'relay', host: relay.listen.host, peers: 'relay.trust.proxies', ranges: relay.trust.proxies },
  ];
  return listeners.flatMap(({ key, host, peers, ranges }) => {
    if (ranges === undefined || ranges.length === 0 || !isLoopback(host)) return [];
    const named = new AddressList(ranges);
    return ['127.0.0.1', '::1'].some((address) => named.has(address))
      ? []
      : `${key}.listen: only this machine, or container, reaches ${host}, and ${peers} has no loopback address, so no one can ask: listen on 0.0.0.0, or on an address of the network that the proxy is on`;
  });
}
