import ipaddr from 'ipaddr.js';
import { AddressList, isLoopback, parseRange } from '../addresses.ts';
import { withoutBrackets } from '../config/host-and-port.ts';
import { ConfigurationError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy that connections to other hosts go through. */
export interface OutboundProxy {
  /** The variable that names it, for messages. */
  readonly variable: string;
  /** Without user and password. */
  readonly origin: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** The value of `Proxy-Authorization` (RFC 9110 §11.7.2), where the address holds user and password. */
  readonly authorization: string | undefined;
}

/**
 * Which proxy an address is reached through, by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` as curl reads them: the lower
 * case name wins, and an empty value is none. This machine itself is never reached through one.
 *
 * @param protocol of the address: `https:` and `wss:` go by `HTTPS_PROXY`, `http:` and `ws:` by `HTTP_PROXY`
 * @param host name or address, without brackets
 * @throws ConfigurationError as {@link checkProxies}
 */
export function proxyFor(protocol: string, host: string, port: number, env: Environment): OutboundProxy | undefined {
  const secure = protocol === 'https:' || protocol === 'wss:';
  const found = read(env, secure ? 'https_proxy' : 'http_proxy');
  if (found === undefined || isLoopback(host) || host.endsWith('.localhost')) return undefined;
  const name = host.toLowerCase().replace(/\.$/, '');
  return isExcepted(name, port, read(env, 'no_proxy')?.value ?? '') ? undefined : parse(found);
}

/** @throws ConfigurationError where a variable holds no address of a proxy; never with the value, which may hold a password */
export function checkProxies(env: Environment): void {
  for (const name of ['https_proxy', 'http_proxy']) {
    const found = read(env, name);
    if (found !== undefined) parse(found);
  }
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

function read(env: Environment, lower: string): Variable | undefined {
  for (const name of [lower, lower.toUpperCase()]) {
    const value = env[name]?.trim();
    // An empty value of the first name takes the second away, as it does for curl.
    if (value !== undefined) return value === '' ? undefined : { name, value };
  }
  return undefined;
}

function parse({ name, value }: Variable): OutboundProxy {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new ConfigurationError([
      `${name}: must be the address of a proxy, such as http://proxy.example.com:3128 or https://proxy.example.com:443`,
    ]);
  const secure = url.protocol === 'https:';
  const [user, password] = [url.username, url.password].map(decoded) as [string, string];
  return {
    variable: name,
    origin: url.origin,
    secure,
    host: withoutBrackets(url.hostname),
    port: Number(url.port || (secure ? 443 : 80)),
    authorization:
      user === '' && password === '' ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  };
}

/** As it stands where it is not percent-encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Entries are separated by commas or spaces: `*`, a name that stands for its subdomains too (with or without a leading `.` or
 * `*.`), an address, a range in CIDR notation; a name or an address may end in `:port`.
 */
function isExcepted(host: string, port: number, list: string): boolean {
  const entries = list.toLowerCase().split(/[\s,]+/);
  return entries.some((entry) => entry === '*' || matches(entry, host, port));
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === '') return false;
  const [, bracketed, named, wantedPort] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  if (wantedPort !== undefined && Number(wantedPort) !== port) return false;
  // Without brackets, more than one colon is an address of IPv6.
  const name = bracketed ?? named ?? entry;
  if (ipaddr.isValid(host)) return isRange(name) && new AddressList([name]).has(host);
  const suffix = name.replace(/^\*?\./, '');
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
}

function isRange(text: string): boolean {
  try {
    parseRange(text);
    return true;
  } catch {
    return false;
  }
}
