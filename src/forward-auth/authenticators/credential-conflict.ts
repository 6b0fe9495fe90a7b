import type { AuthConfig } from '../../platform/config/schema.ts';
import type { Authenticate, Rejected } from '../decision/authentication.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';

/** Tells whether a request carries a credential of one kind, without looking at what it is worth. */
interface Carrier {
  readonly name: string;
  readonly has: (request: CheckRequest) => boolean;
}

/**
 * Refuses a request with credentials of two kinds before either is verified: which of them counts would depend on the
 * order of our code, and the next program in line may choose the other one.
 *
 * @param hasSession whether there is a session cookie; undefined where nobody can sign in
 */
export function refuseConflicts(
  config: Pick<AuthConfig, 'apiKeys' | 'clientCertificates'>,
  authenticate: Authenticate,
  hasSession?: (request: CheckRequest) => boolean,
): Authenticate {
  const carriers: Carrier[] = [];
  if (hasSession !== undefined) carriers.push({ name: 'a session cookie', has: hasSession });
  const keyHeader = config.apiKeys.header.toLowerCase();
  if (config.apiKeys.enabled && keyHeader !== 'authorization')
    carriers.push({ name: `an API key in ${config.apiKeys.header}`, has: hasHeader(keyHeader) });
  const certificate = config.clientCertificates.header;
  if (certificate !== 'none') carriers.push({ name: 'a client certificate', has: hasHeader(certificate) });
  if (carriers.length === 0) return authenticate;
  return (request, resource, rule) => {
    let first: Carrier | undefined;
    for (const carrier of carriers) {
      if (!carrier.has(request)) continue;
      if (first !== undefined) return conflict(first, carrier);
      first = carrier;
    }
    // Last, and only beside another one: most requests have a token and nothing else.
    return first !== undefined && hasBearer(request) ? conflict(first, BEARER) : authenticate(request, resource, rule);
  };
}

function hasHeader(name: string): Carrier['has'] {
  return ({ headers }) => headers.get(name) !== undefined;
}

const BEARER: Pick<Carrier, 'name'> = { name: 'a bearer token' };

/** Other schemes are not ours: an application behind us may have its own. */
function hasBearer({ headers }: CheckRequest): boolean {
  const value = headers.get('authorization');
  return value === DUPLICATED || (value !== undefined && /^bearer(?: |$)/i.test(value));
}

function conflict(first: Pick<Carrier, 'name'>, second: Pick<Carrier, 'name'>): Rejected {
  return {
    kind: 'rejected',
    status: 400,
    reason: 'credential_conflict',
    description: `the request carries ${first.name} and ${second.name}: send one of them`,
  };
}
