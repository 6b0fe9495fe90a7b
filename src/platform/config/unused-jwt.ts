import { isRecord } from '../is-record.ts';
import { GUIDE_VARIABLES } from './environment.ts';

/**
 * Tells which settings of the relay's own check of JWTs nobody uses, because the check is off. ContextForge checks JWTs unless told
 * otherwise, the relay when it is told: so silence about the switch is no word against the check.
 *
 * @param input file and environment, merged and not yet checked
 */
export function unusedJwt(input: unknown, env: Readonly<Record<string, string | undefined>>): string[] {
  const relay = isRecord(input) ? input.relay : undefined;
  const jwt = isRecord(relay) ? relay.jwt : undefined;
  if (!isRecord(jwt) || (jwt.enabled !== undefined && jwt.enabled !== false)) return [];
  const unused = Object.keys(jwt)
    .filter((key) => key !== 'enabled')
    .map((key) => nameOf(`relay.jwt.${key}`, env));
  if (unused.length === 0) return [];
  const why =
    jwt.enabled === false
      ? 'MCP_CLIENT_AUTH_ENABLED=false (relay.jwt.enabled) turns the check of JWTs off'
      : 'MCP_CLIENT_AUTH_ENABLED (relay.jwt.enabled) is not set, and the relay checks JWTs only where it is true';
  return [
    `${unused.join(', ')}: not used, because ${why}. ` +
      'Remove them, set it to true, or let relay.trust.preset name the product whose tokens they describe',
  ];
}

/** The guide's variable where it was set by that, otherwise the key. */
function nameOf(path: string, env: Readonly<Record<string, string | undefined>>): string {
  const variable = Object.keys(GUIDE_VARIABLES).find((name) => GUIDE_VARIABLES[name] === path);
  if (variable === undefined) return path;
  return env[variable] === undefined && env[`${variable}_FILE`] === undefined ? path : variable;
}
