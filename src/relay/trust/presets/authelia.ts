import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { plainPreset } from './plain-headers.ts';
import type { Preset } from './preset.ts';

/** Authelia's answers to `forwardAuth`, `auth_request` and ext_authz (its guide "Trusted Header SSO"). */
export function authelia({ userHeader = 'Remote-User' }: TrustConfig): Preset {
  return plainPreset({
    user: userHeader,
    email: 'Remote-Email',
    name: 'Remote-Name',
    groups: 'Remote-Groups',
    cookieSessions: true,
  });
}
