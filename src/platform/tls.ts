import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { ListenerTls, UpstreamTls } from './config/tls-schema.ts';
import { ConfigurationError } from './errors.ts';
import type { Logger } from './log.ts';
import type { ProcessMetrics } from './metrics.ts';
import { unreadable } from './unreadable.ts';

/** Milliseconds between two looks at the files. */
const WATCH = 5_000;
/** Milliseconds. */
const HANDSHAKE = 10_000;

/** PEM texts; `ca` is what client certificates are verified by. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

/** Certificate and key of a listener, as they are now. */
export interface ListenerCredentials {
  current(): TlsFiles;
  /** For `https.createServer`: HTTP/1.1 only. */
  serverOptions(): ServerOptions;
  /** Tells of files that changed and can be used, for `setSecureContext`. */
  onChange(listener: (options: SecureContextOptions) => void): void;
  close(): void;
}

/**
 * @param where path of the configuration's key, such as `auth.tls`
 * @throws ConfigurationError with the path of the key whose file cannot be used
 */
export function readTlsFiles(
  config: Pick<ListenerTls, 'certPath' | 'keyPath' | 'clientCaPath'>,
  where: string,
): TlsFiles {
  const cert = readCertificates(config.certPath, `${where}.certPath`);
  const key = readKey(config.keyPath, `${where}.keyPath`, cert);
  const ca = config.clientCaPath && readCertificates(config.clientCaPath, `${where}.clientCaPath`);
  return { cert, key, ca };
}

/**
 * What undici and `tls.connect` take. Read once: a changed file is used when the configuration is read again.
 *
 * @throws ConfigurationError
 */
export function readUpstreamTls(
  config: UpstreamTls,
  where: string,
): { ca?: string; cert?: string; key?: string; servername?: string } {
  const { caPath, certPath, keyPath, serverName } = config;
  const cert = certPath === undefined ? undefined : readCertificates(certPath, `${where}.certPath`);
  return {
    ...(caPath === undefined ? {} : { ca: readCertificates(caPath, `${where}.caPath`) }),
    ...(cert === undefined || keyPath === undefined ? {} : { cert, key: readKey(keyPath, `${where}.keyPath`, cert) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Reads the files and again when they change; one that cannot be used leaves the old ones running. @throws ConfigurationError */
export function openListenerTls(
  config: ListenerTls,
  where: string,
  {
    log,
    metrics,
    every = WATCH,
  }: {
    readonly log: Logger;
    readonly metrics?: Pick<ProcessMetrics, 'certificateExpiry'>;
    readonly every?: number /* milliseconds */;
  },
): ListenerCredentials {
  const paths = [config.certPath, config.keyPath, ...(config.clientCaPath === undefined ? [] : [config.clientCaPath])];
  const listeners: Array<(options: SecureContextOptions) => void> = [];
  const contextOf = ({ cert, key, ca }: TlsFiles): SecureContextOptions => ({
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    minVersion: `TLSv${config.minVersion}`,
  });
  const read = () => {
    const files = readTlsFiles(config, where);
    try {
      createSecureContext(contextOf(files));
    } catch (cause) {
      throw new ConfigurationError([`${where}.certPath: OpenSSL refuses it (${codeOf(cause)})`], cause);
    }
    const expiry = Date.parse(new X509Certificate(files.cert).validTo) / 1000;
    metrics?.certificateExpiry.set({ listener: where }, expiry);
    return files;
  };
  let files = read();
  let seen = paths.map(stampOf).join();
  const look = () => {
    const found = paths.map(stampOf).join();
    if (found === seen) return;
    seen = found;
    try {
      files = read();
      for (const listener of listeners) listener(contextOf(files));
      log.info({ certificate: new X509Certificate(files.cert).serialNumber }, `${where}: certificate read again`);
    } catch (error) {
      log.error({ error }, `${where}: the changed files cannot be used; the old certificate stays`);
    }
  };
  const timer = setInterval(look, every);
  timer.unref();
  return {
    current: () => files,
    serverOptions: () => ({
      ...contextOf(files),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE,
      requestCert: config.clientCertificate !== 'none',
      rejectUnauthorized: config.clientCertificate === 'require',
    }),
    onChange: (listener) => void listeners.push(listener),
    close: () => clearInterval(timer),
  };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return codeOf(error);
  }
}

function readText(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([`${where}: ${unreadable(path, cause)}`], cause);
  }
}

/** Every one of them, because OpenSSL skips in silence what it cannot read after the first. */
function readCertificates(path: string, where: string): string {
  const text = readText(path, where);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*(?:-----END CERTIFICATE-----)?/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('no certificate');
    for (const block of blocks) new X509Certificate(block);
  } catch (cause) {
    throw new ConfigurationError([`${where}: ${path} must hold certificates in PEM`], cause);
  }
  return text;
}

function readKey(path: string, where: string, cert: string): string {
  const text = readText(path, where);
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(text));
  } catch {
    // No cause: nothing of a private key may reach the log.
    throw new ConfigurationError([`${where}: ${path} must hold a private key in PEM without passphrase`]);
  }
  if (!fits) throw new ConfigurationError([`${where}: ${path} is not the key of the certificate`]);
  return text;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unreadable';
}
