import type { Socket } from 'node:net';
import { AddressList } from './addresses.ts';
import type { AuthConfig } from './config/schema.ts';
import { acceptedNames, createCertificateCheck } from './peer-certificate.ts';

/** Who may ask, and whose forwarded headers are believed: both by address and, where names are configured, by certificate. */
export interface Trusted {
  hasPeer(socket: Socket): boolean;
  /** @param alternativeNames of the verified certificate that the peer shows, as Node writes them */
  has(address: string, alternativeNames?: string): boolean;
}

/** Every program with a certificate of the same authority reaches the port; only those named here are the proxy. */
export function trustedPeers(auth: Pick<AuthConfig, 'trustedProxies' | 'trustedCertificates'>): Trusted {
  const addresses = new AddressList(auth.trustedProxies);
  if (auth.trustedCertificates === undefined) return addresses;
  const shows = createCertificateCheck(auth.trustedCertificates);
  const accepts = acceptedNames(auth.trustedCertificates);
  return {
    hasPeer: (socket) => addresses.hasPeer(socket) && shows(socket),
    has: (address, names = '') => addresses.has(address) && accepts(names),
  };
}
