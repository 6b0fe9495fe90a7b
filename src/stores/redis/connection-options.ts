import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import { type HostAndPort, parseAddress } from '../../platform/config/host-and-port.ts';
import { parseRedisUrl } from '../../platform/config/redis-url.ts';
import type { RedisConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { unreadable } from '../../platform/unreadable.ts';
import { MasterConnector, ServerConnector } from './connectors.ts';

/** Replies keep the shape that the client gives them by itself. */
export type ConnectionSettings = Omit<RedisOptions, 'replyMapping'>;

export type Node = HostAndPort;

/** Where Redis is, and what every connection to it has in common. */
export interface RedisTarget {
  /** Of one server or the master that Sentinel names; undefined for a cluster. */
  readonly server?: ConnectionSettings;
  readonly cluster?: readonly Node[];
  readonly common: ConnectionSettings;
}

/** Longest pause between two attempts to connect, in milliseconds: Redis that is back is found within a second. */
const LONGEST_PAUSE = 1_000;

export function pauseBefore(attempt: number): number {
  // Some chance in it, so that many processes do not come all at once.
  return Math.min(LONGEST_PAUSE, 25 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
}

/** @throws ConfigurationError */
export async function readTarget(config: RedisConfig): Promise<RedisTarget> {
  const url = config.url === undefined ? undefined : parseRedisUrl(config.url);
  const encrypted = url?.tls === true || config.tls.enabled;
  const tls = encrypted || config.sentinel?.tls === true ? await readTls(config.tls) : undefined;
  const common = {
    Connector: ServerConnector,
    ...(config.username !== undefined && { username: config.username }),
    ...(config.password !== undefined && { password: config.password }),
    ...(tls !== undefined && encrypted && { tls }),
    connectTimeout: config.connectTimeout,
    commandTimeout: config.timeout,
    // A peer that vanished without a word is given up, instead of waiting for the kernel to do so.
    socketTimeout: config.timeout * 3,
    // RESP2 needs no HELLO and nobody our name, so a narrow ACL and a proxy before Redis are fine.
    protocol: 2 as const,
    disableClientInfo: true,
    // Whoever waits gets an answer now, and nothing is sent twice: a repeated compare-and-set would say false after its own success.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: pauseBefore,
  };
  const db = config.database ?? url?.database ?? 0;
  if (url !== undefined) return { common, server: { host: url.host, port: url.port, ...database(db) } };
  if (config.cluster !== undefined) return { common, cluster: config.cluster.nodes.map(nodeOf) };
  const { sentinel } = config;
  if (sentinel === undefined) throw new ConfigurationError(['redis: give one of url, sentinel and cluster']);
  return {
    common,
    server: {
      Connector: MasterConnector,
      name: sentinel.master,
      sentinels: sentinel.nodes.map(nodeOf),
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
      ...(sentinel.tls && tls !== undefined && { sentinelTLS: tls }),
      enableTLSForSentinelMode: encrypted,
      sentinelCommandTimeout: config.timeout,
      sentinelRetryStrategy: pauseBefore,
      ...database(db),
    },
  };
}

function database(db: number): { db?: number } {
  return db === 0 ? {} : { db };
}

function nodeOf(text: string): Node {
  const node = parseAddress(text);
  if (node === undefined) throw new ConfigurationError([`redis: ${text} is not HOST:PORT`]);
  return node;
}

async function readTls(config: RedisConfig['tls']): Promise<ConnectionOptions> {
  const [ca, cert, key] = await Promise.all([
    readPem('caPath', config.caPath),
    readPem('certPath', config.certPath),
    readPem('keyPath', config.keyPath),
  ]);
  const options: ConnectionOptions = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(config.serverName !== undefined && { servername: config.serverName }),
  };
  if (ca !== undefined) check('redis.tls.caPath: holds no certificate', () => new X509Certificate(ca));
  if (cert !== undefined) check('redis.tls.certPath: holds no certificate', () => new X509Certificate(cert));
  check('redis.tls.keyPath: is not the private key of the certificate in certPath', () => createSecureContext(options));
  return options;
}

async function readPem(name: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigurationError([`redis.tls.${name}: ${unreadable(path, error)}`], error);
  });
}

function check(problem: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    throw new ConfigurationError([problem], error);
  }
}
