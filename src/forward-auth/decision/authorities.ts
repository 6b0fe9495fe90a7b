import { canonicalHost, DEFAULT_PORTS } from './target.ts';

/**
 * Hosts with their ports (RFC 3986 §3.2), as requests name them. The scheme of a request is not compared: where TLS ends at
 * a load balancer, the proxy that asks sees plain HTTP at the default port.
 */
export class Authorities {
  readonly #hosts: ReadonlySet<string>;

  /** @param urls whose host and port are meant */
  constructor(urls: Iterable<string>) {
    this.#hosts = new Set([...urls].flatMap(spellings));
  }

  /** @param host canonical */
  has(host: string): boolean {
    return this.#hosts.has(host);
  }
}

/** With the default port written out as well, which is canonical beside the other scheme. */
function spellings(text: string): string[] {
  const url = new URL(text);
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const host = canonicalHost(url.host, scheme) as string;
  return url.port === '' ? [host, `${host}:${DEFAULT_PORTS[scheme]}`] : [host];
}
