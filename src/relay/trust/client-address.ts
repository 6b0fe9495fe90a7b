import type { IncomingMessage } from 'node:http';
import { addressBehind } from '../../platform/addresses.ts';
import { isSigned, presetOf } from '../../platform/config/trust-presets.ts';
import type { TrustConfig } from '../../platform/config/trust-schema.ts';
import type { AuthenticationSource } from './trust.ts';

/** Tells a client's address; empty where nobody knows it. For the watch alone: it lets nobody in. */
export type ClientAddress = (request: IncomingMessage, way: AuthenticationSource) => string;

/**
 * As a proxy saw the client that has proved itself by more than a token: who sends a token by themselves writes the header, too. Where
 * forward-auth stands before the relay, it knows the address and watches.
 */
export function clientAddress(trust: TrustConfig): ClientAddress {
  const proven = trust.enabled && (!isSigned(trust) || trust.proxies !== undefined);
  if (!proven || presetOf(trust) === 'postern') return () => '';
  return ({ headers }, way) => {
    const forwarded = headers['x-forwarded-for'];
    const spoken = way === 'proxy' || way === 'both';
    return spoken && typeof forwarded === 'string' ? addressBehind(forwarded, trust.hops) : '';
  };
}
