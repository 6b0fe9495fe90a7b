import { createPublicKey, type KeyObject } from 'node:crypto';
import { errors, type JWTVerifyGetKey } from 'jose';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { fetchText } from '../../platform/fetch-json.ts';
import type { RemoteKeysDeps } from './remote-keys.ts';

/** The id becomes part of an address, so it must be nothing but an id. */
const KEY_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_KEYS = 100;
/** Milliseconds for which a key that is not there, or could not be fetched, is not asked for again. */
const PAUSE = { missing: 60_000, failed: 1_000 };
/** Look-ups of new ids in a minute: anybody can invent one. */
const MAX_LOOK_UPS = 30;
const MINUTE = 60_000;

/** The keys of Application Load Balancers, each as a PEM text at an address of its own. A key never changes. */
export class LoadBalancerKeys {
  readonly getKey: JWTVerifyGetKey;
  readonly #deps: RemoteKeysDeps;
  readonly #keys: BoundedCache<string, KeyObject>;
  /** Until when not to ask again. */
  readonly #paused = new BoundedCache<string, { readonly until: number; readonly missing: boolean }>({ max: MAX_KEYS });
  readonly #running = new Map<string, Promise<KeyObject>>();
  #lookUps = 0;
  #minute = Number.NEGATIVE_INFINITY;

  constructor({
    signers,
    keysUrl,
    ...deps
  }: RemoteKeysDeps & { readonly signers: readonly string[]; readonly keysUrl: string | undefined }) {
    this.#deps = deps;
    this.#keys = new BoundedCache({ max: MAX_KEYS });
    this.getKey = async ({ kid, signer }) => {
      const known = signers.find((arn) => arn === signer);
      if (known === undefined) throw new errors.JWSInvalid('its "signer" is none of relay.trust.token.signers');
      if (kid === undefined || !KEY_ID.test(kid)) throw new errors.JWSInvalid('its "kid" is not a key id');
      const url = (keysUrl ?? keyAddress(known)).replace('{kid}', kid.toLowerCase());
      return this.#keys.get(url) ?? this.#find(url);
    };
  }

  async #find(url: string): Promise<KeyObject> {
    const { now } = this.#deps;
    const pause = this.#paused.get(url);
    if (pause !== undefined && now() < pause.until) {
      if (pause.missing) throw new errors.JWKSNoMatchingKey();
      throw unavailable();
    }
    const running = this.#running.get(url);
    if (running !== undefined) return running;
    if (now() - this.#minute >= MINUTE) {
      this.#minute = now();
      this.#lookUps = 0;
    }
    if (this.#lookUps >= MAX_LOOK_UPS) throw unavailable(new Error('too many ids of keys in one minute'));
    this.#lookUps += 1;
    const fetching = this.#fetch(url).finally(() => this.#running.delete(url));
    this.#running.set(url, fetching);
    return fetching;
  }

  async #fetch(url: string): Promise<KeyObject> {
    const { now, fetch: fetcher = fetch } = this.#deps;
    let text: string | undefined;
    try {
      text = await fetchText(url, fetcher);
    } catch (cause) {
      this.#paused.set(url, { until: now() + PAUSE.failed, missing: false });
      throw unavailable(cause);
    }
    const key = text === undefined ? undefined : readKey(text);
    if (key === undefined) {
      this.#paused.set(url, { until: now() + PAUSE.missing, missing: true });
      throw new errors.JWKSNoMatchingKey();
    }
    this.#keys.set(url, key);
    return key;
  }
}

function readKey(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ec' ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Where the region of a load balancer has its keys. The ARN is the operator's, never the token's. */
function keyAddress(arn: string): string {
  const [, partition, , region] = arn.split(':');
  if (partition === 'aws-us-gov') return `https://s3-${region}.amazonaws.com/aws-elb-public-keys-prod-${region}/{kid}`;
  if (partition === 'aws-cn') return `https://s3.${region}.amazonaws.com.cn/aws-elb-public-keys-prod-${region}/{kid}`;
  return `https://public-keys.auth.elb.${region}.amazonaws.com/{kid}`;
}

function unavailable(cause?: unknown): DependencyUnavailable {
  return new DependencyUnavailable('the source of the load balancer’s keys', cause);
}
