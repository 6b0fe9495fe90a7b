import { allowedOrigins } from '../platform/config/allowed-origins.ts';
import type { Config } from '../platform/config/schema.ts';
import { ownIssuers } from './authenticators/own-issuers.ts';
import type { Policy } from './decision/decide.ts';
import { type Place, Resources } from './decision/resources.ts';
import { Rules } from './decision/rules.ts';
import { corsOrigins } from './login/sign-in-urls.ts';

/** What decisions are made by, from one configuration. */
export function compilePolicy(config: Config): Policy {
  const { enabled, originEndpoints } = config.auth.broker;
  const resources = new Resources(
    config.publicUrl,
    Object.keys(config.relay.servers),
    config.relay.aggregate !== undefined,
  );
  return {
    ...(enabled ? { authorizationServer: { originEndpoints } } : {}),
    handsOnMetadata: config.auth.originMetadata !== undefined,
    rules: new Rules(config.auth, ownIssuers(config)),
    resources,
    corsOrigins: corsOrigins(config),
    allowedOrigins: allowedOrigins(config),
    maxIdentity: config.auth.limits.maxIdentity,
    ...(config.auth.hiddenOperations === 'relay' && {
      readsBodies: (place: Place) => resources.isMcpEndpoint(place) && resources.of(place).isMcp,
    }),
  };
}
