import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { ownNames } from './own-names.ts';
import type { Preset } from './preset.ts';

/**
 * Traefik's own `forwardAuth` before any authorizer: `authResponseHeaders` says which headers reach the relay, and the
 * small authorizers that go with it answer with `X-Forwarded-User`. `basicAuth` and `digestAuth` write their `headerField`.
 */
export function traefik(trust: TrustConfig): Preset {
  return ownNames(trust, 'X-Forwarded-User');
}
