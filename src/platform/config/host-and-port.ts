/** A host name, IPv4 or IPv6 address, and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** @returns undefined where the text is not `HOST:PORT` or `[IPV6]:PORT` */
export function parseAddress(text: string): HostAndPort | undefined {
  const [, host = '', digits] = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  // What the URL standard calls no host is none to a resolver either, such as 10.0.0.999 or [1::2::3].
  if (host === '' || port > 65_535 || !URL.canParse(`http://${host}`)) return undefined;
  return { host: host.replace(/^\[|\]$/g, ''), port };
}
