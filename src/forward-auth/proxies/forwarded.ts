import { addressBehind } from '../../platform/addresses.ts';
import { type Deny, deny } from '../decision/decision.ts';
import { type CheckRequest, DUPLICATED, type ProxyName, type RequestHeaders } from '../decision/request.ts';
import { Ambiguous, canonicalHost, parseTarget } from '../decision/target.ts';

/** What a header look-up answers. */
export type Looked = ReturnType<RequestHeaders['get']>;

/** The parts of a client's request, each with the name by which the proxy sent it, for the message. */
export interface Described {
  readonly proxy: ProxyName;
  readonly method: readonly [name: string, value: Looked];
  readonly target: readonly [name: string, value: Looked];
  readonly host: readonly [name: string, value: Looked];
  readonly scheme: readonly [name: string, value: Looked];
  /** Addresses by comma, the nearest last. */
  readonly client: readonly [name: string, value: Looked];
  /** How many of those were added by proxies of the operator, see `auth.trustedHops`. */
  readonly hops: number;
  /** What to do where a part is missing or not valid. */
  readonly fix: string;
  readonly headers: RequestHeaders;
  readonly context?: Readonly<Record<string, string>>;
}

const SCHEMES: ReadonlyMap<string, 'http' | 'https'> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
]);

/** One request out of what a proxy said about it. A part that is missing, came twice or reads two ways is a deny. */
export function readForwarded(described: Described): CheckRequest | Deny {
  const { proxy, headers, context, fix, hops } = described;
  // By index: taking the pairs apart costs as much as reading them.
  const method = described.method[1];
  const uri = described.target[1];
  const host = described.host[1];
  const scheme = described.scheme[1];
  const via = described.client[1];
  if (typeof method !== 'string') return bad(described.method, fix);
  if (typeof uri !== 'string') return bad(described.target, fix);
  if (typeof host !== 'string') return bad(described.host, fix);
  if (typeof scheme !== 'string') return bad(described.scheme, fix);
  if (via === DUPLICATED) return bad(described.client, fix);
  if (!/^[A-Z]{1,32}$/.test(method)) return bad(described.method, fix);
  const known = SCHEMES.get(scheme);
  if (known === undefined) return bad(described.scheme, fix);
  const canonical = canonicalHost(host, known);
  if (canonical instanceof Ambiguous) return bad(described.host, fix);
  // Two values joined on the way; a comma in the path alone is an ordinary character (RFC 3986 §3.3).
  if (uri.includes(',') && /^[^?]*,\s*\//.test(uri)) return bad([described.target[0], DUPLICATED], fix);
  const parsed = parseTarget(uri);
  const target = parsed instanceof Ambiguous ? parsed.encoded : parsed;
  if (target === undefined) return deny(400, 'ambiguous_target', (parsed as Ambiguous).problem);
  return {
    proxy,
    method,
    scheme: known,
    host: canonical,
    rawPath: target.rawPath,
    path: target.path,
    query: target.query,
    clientAddress: via === undefined ? '' : addressBehind(via, hops),
    headers,
    ...(context === undefined ? {} : { context }),
    ...(target.readings === undefined ? {} : { readings: target.readings }),
  };
}

function bad([name, value]: readonly [name: string, value: Looked], fix: string): Deny {
  const what = value === undefined ? 'is missing' : value === DUPLICATED ? 'came more than once' : 'is not valid';
  return deny(400, 'forwarded_headers', `${name} ${what}; ${fix}`);
}
