import type { RelayConfig } from '../../platform/config/schema.ts';
import type { ListenerTls } from '../../platform/config/tls-schema.ts';
import { isSigned, presetOf } from '../../platform/config/trust-presets.ts';

/** The proofs that a proxy must give, all of them, for the log at start. */
export function activeProofs({ trust }: Pick<RelayConfig, 'trust'>): string[] {
  if (!trust.enabled) return [];
  const signed = isSigned(trust);
  const ranges = trust.proxies ?? (signed ? [] : ['loopback']);
  return [
    ...(ranges.length === 0 || ranges.some((range) => range.endsWith('/0')) ? [] : [`address in ${ranges.join(', ')}`]),
    ...(trust.secret === undefined ? [] : [`shared secret in ${trust.secretHeader}`]),
    ...(trust.certificates === undefined ? [] : [`client certificate of ${trust.certificates.names.join(', ')}`]),
    ...(trust.assertion === undefined ? [] : ['signed assertion']),
    ...(signed ? [`signed token of ${presetOf(trust)}`] : []),
  ];
}

/** The listener's TLS, which asks for certificates where they are a proof. */
export function relayTls({ tls, trust }: Pick<RelayConfig, 'tls' | 'trust'>): ListenerTls | undefined {
  if (tls === undefined || !trust.enabled || trust.certificates === undefined) return tls;
  return {
    ...tls,
    clientCaPath: tls.clientCaPath ?? trust.certificates.caPath,
    clientCertificate: tls.clientCertificate === 'none' ? 'request' : tls.clientCertificate,
  };
}
