/** A host name, IPv4 or IPv6 address, and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** An IPv6 address as programs take it, without the brackets that it has in URLs and `Host` (RFC 3986 §3.2.2). */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

/** @returns undefined where the text is not `HOST:PORT` or `[IPV6]:PORT` */
export function parseAddress(text: string): HostAndPort | undefined {
  const [, host = '', digits] = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  // What the URL standard calls no host is none to a resolver either, such as 10.0.0.999 or [1::2::3].
  if (host === '' || port > 65_535 || !URL.canParse(`http://${host}`)) return undefined;
  return { host: withoutBrackets(host), port };
}
