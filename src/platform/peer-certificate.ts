import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** One entry of `subjectAltName`; a value with anything unusual is a JSON text there, so that no name can hold another. */
const ENTRY = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * Whether a connection shows a verified certificate with one of the names. Answers are remembered per connection.
 *
 * @param names DNS names, compared without case, or URIs, compared exactly; wildcards in certificates count for nothing
 */
export function createCertificateCheck(names: readonly string[]): (socket: Socket) => boolean {
  const accepts = acceptedNames(names);
  const known = new WeakMap<Socket, boolean>();
  return (socket) => {
    let proven = known.get(socket);
    if (proven === undefined) {
      proven = accepts(verifiedNames(socket));
      known.set(socket, proven);
    }
    return proven;
  };
}

/** @returns whether `subjectAltName` of a verified certificate holds one of the names */
export function acceptedNames(names: readonly string[]): (subjectAltName: string) => boolean {
  const accepted = new Set(names.map((name) => (name.includes(':') ? `URI:${name}` : `DNS:${name.toLowerCase()}`)));
  return (subjectAltName) => alternativeNames(subjectAltName).some((name) => accepted.has(name));
}

/** @returns `subjectAltName` of the certificate that a connection shows, as Node writes it; empty where none was verified */
export function verifiedNames(socket: Socket): string {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return '';
  // A resumed session can be `authorized` without any certificate.
  return socket.getPeerX509Certificate()?.subjectAltName ?? '';
}

/** @returns `DNS:` (lower case) and `URI:` entries; none where the text cannot be read to its end */
export function alternativeNames(text: string): string[] {
  const names: string[] = [];
  ENTRY.lastIndex = 0;
  let end = 0;
  for (let match = ENTRY.exec(text); match !== null && match[0] !== ''; match = ENTRY.exec(text)) {
    const [, kind, written = ''] = match;
    end = ENTRY.lastIndex;
    const value: string = written.startsWith('"') ? JSON.parse(written) : written;
    if (kind === 'DNS') names.push(`DNS:${value.toLowerCase()}`);
    if (kind === 'URI') names.push(`URI:${value}`);
    if (end === text.length) break;
  }
  return end === text.length ? names : [];
}
