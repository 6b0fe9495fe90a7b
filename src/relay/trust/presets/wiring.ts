import type { TrustConfig, TrustTokenConfig } from '../../../platform/config/trust-schema.ts';
import { ConfigurationError } from '../../../platform/errors.ts';
import type { RemoteKeysDeps } from '../remote-keys.ts';

/** What presets are made with. */
export interface PresetDeps extends RemoteKeysDeps {
  /** Whether the relay checks bearer JWTs of its own as well. */
  readonly jwtEnabled: boolean;
}

/** @throws ConfigurationError where a preset that verifies a token was not told how, which the schema refuses before */
export function tokenOf({ token }: TrustConfig): TrustTokenConfig {
  if (token === undefined) throw new ConfigurationError(['relay.trust.token: the preset needs it']);
  return token;
}
