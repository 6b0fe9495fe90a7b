import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { ownNames } from './own-names.ts';
import type { Preset } from './preset.ts';

/**
 * Amazon API Gateway: the integration maps what the Lambda authorizer put into its context to a header, and overwrites
 * the client's own. See `deploy/aws-api-gateway`.
 */
export function awsApiGateway(trust: TrustConfig): Preset {
  return ownNames(trust);
}
