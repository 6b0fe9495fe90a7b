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

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' };

/** One request out of what a proxy said about it. A part that is missing, came twice or reads two ways is a deny. */
export function readForwarded(described: Described): CheckRequest | Deny {
  const { proxy, headers, context, fix } = described;
  const [method, target, host, scheme] = [described.method, described.target, described.host, described.scheme];
  const via = described.client[1];
  for (const [name, value] of [method, target, host, scheme])
    if (typeof value !== 'string') return bad(name, value, fix);
  if (via === DUPLICATED) return bad(described.client[0], via, fix);
  if (!/^[A-Z]{1,32}$/.test(method[1] as string)) return bad(...method, fix);
  const known = Object.hasOwn(SCHEMES, scheme[1] as string) ? SCHEMES[scheme[1] as string] : undefined;
  if (known === undefined) return bad(...scheme, fix);
  const canonical = canonicalHost(host[1] as string, known);
  if (canonical instanceof Ambiguous) return bad(...host, fix);
  const uri = target[1] as string;
  // Two values joined on the way; a comma in the path alone is an ordinary character (RFC 3986 §3.3).
  if (/^[^?]*,\s*\//.test(uri)) return bad(target[0], DUPLICATED, fix);
  const parsed = parseTarget(uri);
  if (parsed instanceof Ambiguous) return deny(400, 'ambiguous_target', parsed.problem);
  return {
    proxy,
    method: method[1] as string,
    scheme: known,
    host: canonical,
    rawPath: parsed.rawPath,
    path: parsed.path,
    query: parsed.query,
    clientAddress: via === undefined ? '' : addressBehind(via, described.hops),
    headers,
    ...(context === undefined ? {} : { context }),
  };
}

function bad(name: string, value: Looked, fix: string): Deny {
  const what = value === undefined ? 'is missing' : value === DUPLICATED ? 'came more than once' : 'is not valid';
  return deny(400, 'forwarded_headers', `${name} ${what}; ${fix}`);
}
