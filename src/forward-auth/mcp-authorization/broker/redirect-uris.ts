import type { BrokerConfig } from '../../../platform/config/schema.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/**
 * A scheme that its application may call its own: the reversed name of a domain (RFC 8252 §7.1). No top-level domain but an
 * internationalized one has a hyphen, and the system's schemes have: `x-apple.systempreferences`.
 */
const REVERSE_DOMAIN = /^(?:[a-z]{2,}|xn--[a-z0-9-]+)(?:\.[a-z0-9][a-z0-9-]*)+$/;

/** Where a code is sent to, by what can be known of who listens there. */
export type RedirectKind =
  /** A host that proves itself by its certificate. */
  | 'https'
  /** Any program on the person's machine. */
  | 'loopback'
  /** Whichever application on the person's machine claimed the scheme. */
  | 'custom';

export function redirectKind(uri: string): RedirectKind {
  const { protocol, hostname } = new URL(uri);
  if (protocol === 'https:') return 'https';
  return protocol === 'http:' && LOOPBACK.has(hostname) ? 'loopback' : 'custom';
}

/** What the consent page names: the host, or what the scheme is of an application. */
export function redirectPlace(uri: string): string {
  const { protocol, host } = new URL(uri);
  return redirectKind(uri) === 'custom' ? `an application on your computer (${protocol})` : host;
}

/** Without the port, which differs each time for a program on the person's machine (RFC 8252 §7.3). */
export function stableRedirect(uri: string): string {
  const url = new URL(uri);
  if (redirectKind(uri) === 'loopback') url.port = '';
  return url.href;
}

/** @returns why a client may not register this redirect; undefined: it may */
export function redirectProblem(uri: unknown, config: BrokerConfig['registration']): string | undefined {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return 'must only contain valid URIs';
  const url = new URL(uri);
  if (url.username !== '' || url.password !== '') return 'must not contain user information';
  if (uri.includes('#')) return 'must not contain fragments';
  if (/[\s\\]/.test(uri)) return 'must not contain spaces or backslashes';
  switch (redirectKind(uri)) {
    case 'loopback':
      return undefined;
    case 'https': {
      const { redirectHosts } = config;
      return redirectHosts.length === 0 || redirectHosts.includes(url.host)
        ? undefined
        : `must be at an allowed host, of: ${redirectHosts.join(', ')}`;
    }
    case 'custom':
      if (url.protocol === 'http:') return 'must use https, except for loopback addresses';
      return mayUseScheme(url.protocol.slice(0, -1), config)
        ? undefined
        : `must not use the scheme ${url.protocol}: https, a loopback address, a reversed domain name (RFC 8252 §7.1) or one of auth.broker.registration.applicationSchemes`;
  }
}

/** Not any scheme: those of the system (`ms-appinstaller`, `intent`, `smb`) do something when they are opened. */
function mayUseScheme(scheme: string, { customSchemes, applicationSchemes }: BrokerConfig['registration']): boolean {
  return customSchemes && (REVERSE_DOMAIN.test(scheme) || applicationSchemes.includes(scheme));
}
