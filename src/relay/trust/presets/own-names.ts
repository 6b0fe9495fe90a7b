import { IDENTITY_HEADERS } from '../../../identity/headers.ts';
import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { plainPreset } from './plain-headers.ts';
import type { Preset } from './preset.ts';

/**
 * Headers whose names the operator chooses. Beside the user nothing is read that is not named: a header that the proxy
 * does not write is the client's.
 */
export function ownNames(trust: TrustConfig, userHeader: string = IDENTITY_HEADERS.user): Preset {
  const { email, name, groups, groupsDelimiter } = trust.headers;
  return plainPreset({ user: trust.userHeader ?? userHeader, email, name, groups, groupsDelimiter });
}
