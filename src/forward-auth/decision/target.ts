/** A request target that can be read in one way only. */
export interface Target {
  /** As written, without the query. */
  readonly rawPath: string;
  /** Percent-decoded; nothing that decoding could turn into structure is left in it. */
  readonly path: string;
  readonly query: string;
  /** Every path that some program reads where delimiters are encoded, the decoded one among them. Absent: there is one only. */
  readonly readings?: readonly string[];
}

/** Why a target or a host was refused; shown to the caller. */
export class Ambiguous {
  readonly problem: string;
  /** Present where encoded delimiters are all that is wrong: a rule may allow it that holds for every reading. */
  readonly encoded: Target | undefined;

  constructor(problem: string, encoded?: Target) {
    this.problem = problem;
    this.encoded = encoded;
  }
}

const PLAIN_PATH = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)+\/?$/;
const ENCODED_DELIMITER = /%(?:2f|25|3b|3f|23)/i;
const ENCODED_STRUCTURE = /%(?:5c|[01][0-9a-f]|7f)/i;
const BROKEN_ENCODING = /%(?![0-9a-f]{2})/i;

/**
 * Parses a request target in origin form (RFC 9112 §3.2.1) by hand: `new URL` would resolve what another program down the
 * line does not. Everything that two programs could read as two paths is refused, never interpreted.
 */
export function parseTarget(target: string): Target | Ambiguous {
  const problem = characterProblem(target);
  if (problem !== undefined) return new Ambiguous(problem);
  const mark = target.indexOf('?');
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark + 1);
  if (rawPath === '/' || PLAIN_PATH.test(rawPath)) return { rawPath, path: rawPath, query };
  return parseUnusualPath(rawPath, query);
}

function characterProblem(target: string): string | undefined {
  if (target.charCodeAt(0) !== 0x2f) return 'the target must start with a slash';
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return 'the target holds a space or a control character';
    if (code > 0x7f) return 'the target holds a character outside ASCII';
    if (code === 0x23) return 'the target holds a fragment';
    if (code === 0x5c) return 'the target holds a backslash';
  }
  return undefined;
}

function parseUnusualPath(rawPath: string, query: string): Target | Ambiguous {
  if (rawPath.includes('//')) return new Ambiguous('the path holds an empty segment');
  // Servlet containers cut path parameters off: `/public/..;/admin` is `/admin` there (RFC 3986 §3.3).
  if (rawPath.includes(';')) return new Ambiguous('the path holds a path parameter');
  if (BROKEN_ENCODING.test(rawPath)) return new Ambiguous('the path holds a broken percent-encoding');
  if (ENCODED_STRUCTURE.test(rawPath)) return new Ambiguous('the path holds an encoded backslash or control character');
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    return new Ambiguous('the path is no UTF-8');
  }
  // C1 controls, which are two bytes in UTF-8.
  if (/[\u0080-\u009f]/.test(path)) return new Ambiguous('the path holds a control character');
  if (path.split('/').some(isDotSegment)) return new Ambiguous('the path holds a dot segment');
  if (normalizesToStructure(path))
    return new Ambiguous('the path holds a character that Unicode normalization turns into a slash or a delimiter');
  const target = { rawPath, path, query };
  return ENCODED_DELIMITER.test(rawPath) ? withEncodedDelimiters(target) : target;
}

/** Refused, but with every reading, so that a rule that holds for all of them may allow it. */
function withEncodedDelimiters(target: Target): Ambiguous {
  const { rawPath, path } = target;
  // A second decoding could make a slash or a dot of it; of `/100%25` it makes nothing.
  if (/%[0-9a-f]{2}/i.test(path)) return new Ambiguous('the path is encoded more than once');
  const kept = decodeURIComponent(rawPath.replace(/%(?=2f|25|3b|3f|23)/gi, '%25'));
  const readings = new Set<string>();
  for (const whole of [path, kept])
    for (const cut of [whole, whole.replace(/[?#].*$/s, '')])
      for (const reading of [cut, cut.replace(/;[^/]*/g, '')]) readings.add(reading);
  for (const reading of readings) {
    if (reading.includes('//')) return new Ambiguous('the path holds an empty segment once it is decoded');
    if (reading.split('/').some(isDotSegment)) return new Ambiguous('the path holds a dot segment once it is decoded');
  }
  return new Ambiguous('the path holds an encoded slash, percent sign or delimiter', {
    ...target,
    readings: [...readings],
  });
}

/** Windows and some frameworks drop spaces around a name, or write compatible characters as ASCII ones: `..%20`, `%ef%bc%8e.`. */
function isDotSegment(segment: string): boolean {
  const bare = segment.normalize('NFKC').replace(/[\s\p{Cf}]/gu, '');
  return bare === '.' || bare === '..';
}

/** A full-width slash is a slash to whatever applies NFKC before it looks (Unicode TR36 §3.3); so it is to nobody here. */
function normalizesToStructure(path: string): boolean {
  const structure = (text: string) => text.match(/[/\\;%?#]/g)?.length ?? 0;
  return structure(path.normalize('NFKC')) !== structure(path);
}

const HOST = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])$/;
export const DEFAULT_PORTS = { http: '80', https: '443' } as const;

/** The same few hosts are asked for all the time; what clients invent beside them is forgotten all at once. */
const KNOWN_HOSTS = { http: new Map<string, string | Ambiguous>(), https: new Map<string, string | Ambiguous>() };
const MAX_KNOWN_HOSTS = 1_000;
/** Characters; the longest there is (RFC 1035 §2.3.4) with a port. */
const MAX_KNOWN_HOST = 261;

/** @returns what is no host where the text in brackets is no IPv6 address */
export function canonicalAddress(text: string): string {
  return URL.canParse(`http://${text}`) ? new URL(`http://${text}`).hostname : '';
}

/**
 * The one form of a host that is compared: lower case, without a trailing dot, without the scheme's default port, and
 * an IPv6 address as RFC 5952 writes it.
 * User information, lists and everything else that is no host is refused.
 */
export function canonicalHost(text: string, scheme: 'http' | 'https'): string | Ambiguous {
  const known = KNOWN_HOSTS[scheme];
  let host = known.get(text);
  if (host === undefined) {
    host = parseHost(text, scheme);
    if (known.size >= MAX_KNOWN_HOSTS) known.clear();
    if (text.length <= MAX_KNOWN_HOST) known.set(text, host);
  }
  return host;
}

function parseHost(text: string, scheme: 'http' | 'https'): string | Ambiguous {
  const match = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?$/.exec(text);
  if (match?.[1] === undefined) return new Ambiguous('the Host header is not a host name');
  const lower = match[1].toLowerCase();
  const name = lower.startsWith('[') ? canonicalAddress(lower) : lower.endsWith('.') ? lower.slice(0, -1) : lower;
  if (name.length > 255 || !HOST.test(name)) return new Ambiguous('the Host header is not a host name');
  const port = match[2];
  if (port === undefined || Number(port) === Number(DEFAULT_PORTS[scheme])) return name;
  if (Number(port) < 1 || Number(port) > 65535) return new Ambiguous('the host has no valid port');
  return `${name}:${Number(port)}`;
}
