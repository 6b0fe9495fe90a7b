import { X509Certificate } from 'node:crypto';
import type { Identity } from '../../identity/identity.ts';
import type { AuthConfig } from '../../platform/config/schema.ts';
import { nameGlob } from '../../platform/name-glob.ts';
import { ABSENT, type Authentication, type Rejected } from '../decision/authentication.ts';
import type { Matcher } from '../decision/globs.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';
import type { Authenticator } from './authenticator.ts';
import { commonNamesOf, type NameKind, namesOf } from './certificate-names.ts';
import { IdentityPool } from './identity-pool.ts';
import { rejected } from './rejection.ts';
import { parseXfcc, XfccProblem } from './xfcc.ts';

/** Characters. */
const MAX_NAME = 1_024;

/**
 * A client certificate that the proxy verified and passed on: Envoy's `X-Forwarded-Client-Cert`, or `Client-Cert`
 * (RFC 9440). The proxy must remove the header that a client sends; that it is a trusted one was checked before.
 */
export class ClientCertificateAuthenticator implements Authenticator {
  readonly #config: AuthConfig['clientCertificates'];
  readonly #allowed: readonly Matcher[];
  readonly #now: () => number;
  readonly #identities = new IdentityPool();

  /** @param now milliseconds */
  constructor({ clientCertificates }: Pick<AuthConfig, 'clientCertificates'>, now: () => number) {
    this.#config = clientCertificates;
    this.#allowed = clientCertificates.allowedNames.map(nameGlob);
    this.#now = now;
  }

  authenticate(request: CheckRequest): Authentication {
    const { header, subject: kind, issuer } = this.#config;
    const value = header === 'none' ? undefined : request.headers.get(header);
    if (value === undefined) return ABSENT;
    if (value === DUPLICATED) return untrusted(400, 'the client certificate came more than once');
    const names = header === 'client-cert' ? this.#ofClientCert(value, kind) : this.#ofXfcc(value, kind);
    if (!Array.isArray(names)) return names;
    const [subject] = names;
    if (subject === undefined || names.length > 1 || !isName(subject, kind))
      return rejected('client_certificate', `the certificate must have exactly one name of the kind "${kind}"`);
    if (this.#allowed.length > 0 && !this.#allowed.some((matches) => matches(subject)))
      return rejected('client_certificate', 'the name of the certificate is not accepted here');
    const identity: Identity = {
      subject,
      email: kind === 'email' ? subject : '',
      name: '',
      groups: [],
      scopes: [],
      method: 'mtls',
      issuer,
    };
    return { kind: 'identity', identity: this.#identities.intern(identity) };
  }

  /** RFC 9440 §2.2: one certificate as a byte sequence (RFC 8941 §3.3.5). */
  #ofClientCert(value: string, kind: NameKind): string[] | Rejected {
    const text = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(value.trim())?.[1];
    const der = Buffer.from(text ?? '', 'base64');
    if (text === undefined || der.toString('base64') !== text) return untrusted(400, 'Client-Cert is malformed');
    const certificate = parse(der);
    // What follows the certificate would be read by others, or not.
    if (certificate === undefined || !certificate.raw.equals(der))
      return untrusted(400, 'Client-Cert holds no certificate');
    return this.#valid(certificate, kind);
  }

  #ofXfcc(value: string, kind: NameKind): string[] | Rejected {
    const elements = parseXfcc(value);
    if (elements instanceof XfccProblem)
      return untrusted(400, `X-Forwarded-Client-Cert is malformed: ${elements.problem}`);
    const [element] = elements;
    if (element === undefined || elements.length > 1)
      return untrusted(403, 'X-Forwarded-Client-Cert has several elements: the proxy must replace it (SANITIZE_SET)');
    const told =
      kind === 'common-name'
        ? commonNamesOf(element.get('subject')?.[0] ?? '')
        : kind === 'email'
          ? []
          : (element.get(kind) ?? []).filter((name) => name !== '');
    if (told === undefined) return untrusted(400, 'X-Forwarded-Client-Cert has a malformed subject');
    const encoded = element.get('cert')?.[0];
    if (encoded === undefined) return told;
    const certificate = parse(decode(encoded));
    if (certificate === undefined) return untrusted(400, 'X-Forwarded-Client-Cert holds no certificate');
    const names = this.#valid(certificate, kind);
    // Two sources that disagree: one of them is not the proxy's.
    if (Array.isArray(names) && told.length > 0 && JSON.stringify(told) !== JSON.stringify(names))
      return untrusted(403, 'X-Forwarded-Client-Cert names another than its certificate does');
    const hash = element.get('hash')?.[0];
    if (hash !== undefined && hash.toLowerCase() !== certificate.fingerprint256.replaceAll(':', '').toLowerCase())
      return untrusted(403, 'X-Forwarded-Client-Cert has the hash of another certificate');
    return names;
  }

  #valid(certificate: X509Certificate, kind: NameKind): string[] | Rejected {
    const now = this.#now();
    // Written so that a date which cannot be read is no valid one.
    if (!(Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo)))
      return rejected('client_certificate', 'the certificate is not valid now');
    return namesOf(certificate, kind) ?? untrusted(400, 'the names of the certificate cannot be read');
  }
}

function parse(content: Buffer | string | undefined): X509Certificate | undefined {
  try {
    return content === undefined || content.length === 0 ? undefined : new X509Certificate(content);
  } catch {
    return undefined;
  }
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function isName(name: string, kind: NameKind): boolean {
  if (name === '' || name.length > MAX_NAME || /[\p{Cc}\p{Cs}\ufffd]/u.test(name)) return false;
  return kind !== 'email' || /^[^@\s]+@[^@\s]+$/.test(name);
}

function untrusted(status: 400 | 403, description: string): Rejected {
  return { kind: 'rejected', status, reason: 'certificate_untrusted', description };
}
