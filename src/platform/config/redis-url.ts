import { type HostAndPort, parseAddress } from './host-and-port.ts';

export interface RedisUrl extends HostAndPort {
  readonly database: number;
  readonly tls: boolean;
}

/** @returns undefined where it is not `redis://HOST:PORT/DB` or `rediss://HOST:PORT/DB`, with port and database as one likes */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  const url = /^rediss?:\/\/[^\s@?#]+$/.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  const path = /^\/?(\d{0,5})$/.exec(url?.pathname ?? '-');
  const server = url && parseAddress(`${url.hostname}:${url.port || 6379}`);
  if (server === undefined || path === null) return undefined;
  return { ...server, database: Number(path[1]), tls: url?.protocol === 'rediss:' };
}
