import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { connect, type PeerCertificate } from 'node:tls';
import { withoutBrackets } from '../../platform/config/host-and-port.ts';
import type { Config } from '../../platform/config/schema.ts';
import { proxyFor } from '../../platform/outbound/proxies.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Milliseconds. */
const TIMEOUT = 5_000;
const DAY = 86_400_000;
/** Days. */
const SOON = 14;

/** From when until when the certificates that the configuration names are good. Files that cannot be read were named before. */
export function certificateFindings(config: Config): Finding[] {
  const files: Array<readonly [string, string | undefined]> = [
    ...(['auth', 'relay'] as const).flatMap((part) => [
      [`${part}.tls.certPath`, config[part].tls?.certPath] as const,
      [`${part}.tls.clientCaPath`, config[part].tls?.clientCaPath] as const,
    ]),
    ['redis.tls.caPath', config.redis?.tls.caPath],
    ['redis.tls.certPath', config.redis?.tls.certPath],
    ...Object.entries(config.relay.servers).flatMap(([name, { tls }]) => [
      [`relay.servers.${name}.tls.caPath`, tls?.caPath] as const,
      [`relay.servers.${name}.tls.certPath`, tls?.certPath] as const,
    ]),
  ];
  return files.flatMap(([key, path]) => (path === undefined ? [] : certificates(key, path)));
}

function certificates(key: string, path: string): Finding[] {
  let blocks: X509Certificate[];
  try {
    const texts = readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
    blocks = texts.map((text) => new X509Certificate(text));
  } catch {
    return [];
  }
  return blocks.map(({ subject, validFrom, validTo }) =>
    validity(key, subject?.replaceAll('\n', ', ') || path, Date.parse(validFrom), Date.parse(validTo)),
  );
}

/** Likewise those that others show, if they are reached without a proxy; who cannot be reached is named elsewhere. */
export async function shownCertificateFindings(
  { publicUrl, auth, relay }: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const addresses: Array<readonly [string, string | undefined]> = [
    ['publicUrl', publicUrl],
    ...auth.providers.map(({ issuer }, index) => [`auth.providers[${index}].issuer`, issuer] as const),
    ...Object.entries(relay.servers).map(([name, { url }]) => [`relay.servers.${name}.url`, url] as const),
  ];
  const found = await Promise.all(
    addresses.map(async ([key, address]) => {
      if (address === undefined || !/^(?:https|wss):/.test(address)) return [];
      const url = new URL(address);
      const host = withoutBrackets(url.hostname);
      const port = Number(url.port || 443);
      if (proxyFor(url.protocol, host, port, env) !== undefined) return [];
      const certificate = await shown(host, port);
      return certificate === undefined
        ? []
        : [validity(key, url.host, Date.parse(certificate.valid_from), Date.parse(certificate.valid_to))];
    }),
  );
  return found.flat();
}

/** Whatever it is worth: whether it is trusted is said by those who ask its owner something. */
async function shown(host: string, port: number): Promise<PeerCertificate | undefined> {
  const servername = isIP(host) === 0 ? host : '';
  const socket = connect({ host, port, servername, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(TIMEOUT) });
    const certificate = socket.getPeerCertificate();
    return certificate.valid_to === undefined ? undefined : certificate;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** @param from Unix time in milliseconds, as `until` */
function validity(key: string, name: string, from: number, until: number): Finding {
  const now = Date.now();
  const [first, last] = [from, until].map((time) => new Date(time).toISOString());
  if (from > now) return fail(key, `the certificate of ${name} is good from ${first} on`, 'check the clock');
  if (until < now) return fail(key, `the certificate of ${name} expired on ${last}`, 'renew it');
  return until - now < SOON * DAY
    ? warn(key, `the certificate of ${name} expires on ${last}`, 'renew it')
    : ok(key, `the certificate of ${name} is good until ${last}`);
}
