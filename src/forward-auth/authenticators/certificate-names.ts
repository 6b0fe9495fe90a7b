import type { X509Certificate } from 'node:crypto';
import type { AuthConfig } from '../../platform/config/schema.ts';

export type NameKind = AuthConfig['clientCertificates']['subject'];

const ALTERNATIVE = { uri: 'URI', dns: 'DNS', email: 'email' } as const;
/** Node quotes a value that holds something which could be read as the next name, as a JSON string. */
const ENTRY = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * Names of one kind in a certificate: subject alternative names (RFC 5280 §4.2.1.6), or the subject's common names.
 *
 * @returns undefined where they cannot be read for sure
 */
export function namesOf(certificate: X509Certificate, kind: NameKind): string[] | undefined {
  if (kind === 'common-name') {
    const subject = certificate.toLegacyObject().subject as unknown as Readonly<Record<string, unknown>> | undefined;
    const names = subject?.CN ?? [];
    return (Array.isArray(names) ? names : [names]).filter((name) => typeof name === 'string');
  }
  const text = certificate.subjectAltName ?? '';
  const found: string[] = [];
  for (ENTRY.lastIndex = 0; ENTRY.lastIndex < text.length; ) {
    const match = ENTRY.exec(text);
    if (match === null) return undefined;
    const [, type, value = ''] = match;
    if (type !== ALTERNATIVE[kind]) continue;
    const name = value.startsWith('"') ? unquote(value) : value;
    if (name === undefined) return undefined;
    found.push(name);
  }
  return found;
}

function unquote(text: string): string | undefined {
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

/**
 * Common names of a subject as Envoy writes it (RFC 2253 §2).
 *
 * @returns undefined where it is no such text
 */
export function commonNamesOf(subject: string): string[] | undefined {
  const names: string[] = [];
  if (subject === '') return names;
  let at = 0;
  for (;;) {
    const equals = subject.indexOf('=', at);
    if (equals === -1) return undefined;
    const type = subject.slice(at, equals).trim();
    if (!/^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)$/.test(type)) return undefined;
    const bytes: number[] = [];
    let i = equals + 1;
    while (i < subject.length && !',+;'.includes(subject[i] as string)) {
      const character = subject[i] as string;
      if (character === '"') return undefined;
      if (character !== '\\') {
        const point = String.fromCodePoint(subject.codePointAt(i) as number);
        bytes.push(...Buffer.from(point));
        i += point.length;
        continue;
      }
      const hex = /^[0-9A-Fa-f]{2}/.exec(subject.slice(i + 1, i + 3));
      if (hex !== null) bytes.push(Number.parseInt(hex[0], 16));
      else if (i + 1 < subject.length && ',+"\\<>;= #'.includes(subject[i + 1] as string))
        bytes.push(subject.charCodeAt(i + 1));
      else return undefined;
      i += hex === null ? 2 : 3;
    }
    if (type.toUpperCase() === 'CN' || type === '2.5.4.3') names.push(Buffer.from(bytes).toString('utf8'));
    if (i >= subject.length) return names;
    at = i + 1;
  }
}
