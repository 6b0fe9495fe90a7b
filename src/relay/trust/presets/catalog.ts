import { presetOf } from '../../../platform/config/trust-presets.ts';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { authelia } from './authelia.ts';
import { authentik } from './authentik.ts';
import { awsAlb } from './aws-alb.ts';
import { awsApiGateway } from './aws-api-gateway.ts';
import { cloudflareAccess } from './cloudflare-access.ts';
import { googleIap } from './google-iap.ts';
import { hyprmcp } from './hyprmcp.ts';
import { istio } from './istio.ts';
import { oauth2Proxy } from './oauth2-proxy.ts';
import { ownNames } from './own-names.ts';
import { pomerium } from './pomerium.ts';
import { postern } from './postern.ts';
import type { Preset } from './preset.ts';
import { tailscale } from './tailscale.ts';
import { traefik } from './traefik.ts';
import type { PresetDeps } from './wiring.ts';

/** The configured preset. */
export function createPreset(trust: TrustConfig, deps: PresetDeps): Preset {
  const preset = presetOf(trust);
  switch (preset) {
    case 'postern':
      return postern(trust);
    case 'headers':
      return ownNames(trust);
    case 'oauth2-proxy':
      return oauth2Proxy(trust);
    case 'authelia':
      return authelia(trust);
    case 'hyprmcp':
      return hyprmcp(trust, deps);
    case 'traefik':
      return traefik(trust);
    case 'istio':
      return istio(trust);
    case 'cloudflare-access':
      return cloudflareAccess(trust, deps);
    case 'aws-api-gateway':
      return awsApiGateway(trust);
    case 'aws-alb':
      return awsAlb(trust, deps);
    case 'google-iap':
      return googleIap(trust, deps);
    case 'pomerium':
      return pomerium(trust, deps);
    case 'authentik':
      return authentik(trust, deps);
    case 'tailscale':
      return tailscale();
    default:
      return preset satisfies never;
  }
}
