import type { AuthConfig } from '../../platform/config/schema.ts';
import type { ApiKeys, GoodApiKey } from '../api-keys/api-keys.ts';
import { API_KEY_PREFIX, type ApiKeyParts, parseApiKey } from '../api-keys/key-format.ts';
import { ABSENT, type Authentication, type Rejected } from '../decision/authentication.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';
import type { Resource } from '../decision/resources.ts';
import type { Authenticator } from './authenticator.ts';
import { rejected } from './rejection.ts';

/** One text for every failure: whether an id is known is not told. */
const REFUSED = rejected('api_key', 'the API key is unknown, revoked or expired');
const WRONG_SERVER = rejected('api_key', 'the API key is not for this server');
/** RFC 6750 §2.1; the scheme without case (RFC 9110 §11.1). */
const BEARER = new RegExp(`^bearer ${API_KEY_PREFIX}`, 'i');

export interface ApiKeyDependencies {
  readonly keys: Pick<ApiKeys, 'verify'>;
  /** Told of a key that is not good. */
  readonly onRefused?: (parts: ApiKeyParts, address: string) => void;
}

/** API keys of Postern, as bearer tokens or in a header of their own. They are good for this Postern only. */
export class ApiKeyAuthenticator implements Authenticator {
  readonly #header: string;
  readonly #dependencies: ApiKeyDependencies;

  constructor({ apiKeys }: Pick<AuthConfig, 'apiKeys'>, dependencies: ApiKeyDependencies) {
    this.#header = apiKeys.header.toLowerCase();
    this.#dependencies = dependencies;
  }

  authenticate(request: CheckRequest, resource: Resource): Authentication | Promise<Authentication> {
    const sent = readKey(request, this.#header);
    if (typeof sent !== 'string') return sent ?? ABSENT;
    const parts = parseApiKey(sent);
    if (parts === undefined) return REFUSED;
    const judged = (key: GoodApiKey | undefined) => {
      if (key === undefined) this.#dependencies.onRefused?.(parts, request.clientAddress);
      return judge(key, resource);
    };
    const verified = this.#dependencies.keys.verify(parts);
    return verified instanceof Promise ? verified.then(judged) : judged(verified);
  }
}

function readKey(request: CheckRequest, header: string): string | undefined | Rejected {
  const own = request.headers.get(header);
  if (own === DUPLICATED) return duplicated('the API key came more than once');
  if (own !== undefined) return header === 'authorization' ? ofBearer(own) : own;
  const authorization = request.headers.get('authorization');
  if (authorization === DUPLICATED) return duplicated('Authorization came more than once');
  return ofBearer(authorization);
}

function ofBearer(authorization: string | undefined): string | undefined {
  return authorization !== undefined && BEARER.test(authorization) ? authorization.slice('bearer '.length) : undefined;
}

function duplicated(description: string): Rejected {
  return { kind: 'rejected', status: 400, reason: 'credential_duplicated', description };
}

function judge(key: GoodApiKey | undefined, resource: Resource): Authentication {
  if (key === undefined) return REFUSED;
  if (key.servers !== undefined && !(resource.server !== undefined && key.servers.includes(resource.server)))
    return WRONG_SERVER;
  return { kind: 'identity', identity: key.identity, credential: key.credential, apiKey: key.id };
}
