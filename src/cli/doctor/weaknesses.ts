import { isPlainOffLoopback } from '../../platform/addresses.ts';
import { configKeys } from '../../platform/config/keys.ts';
import type { Config } from '../../platform/config/schema.ts';
import { SHORTEST_SECRET } from '../../platform/config/secret-warnings.ts';
import { isRecord } from '../../platform/is-record.ts';
import { type Finding, warn } from './finding.ts';

/** Different characters. */
const MONOTONOUS = 6;
const GUESSABLE = /^(?:my|the|your)?[\W_]*(?:change[\W_]*(?:me|it|this)|secret|password|passwd|postern|test|example)/i;
/** Given by others, or checked as keys. */
const NOT_OURS = /^redis\.|\.client(?:Secret|s\[)|\.headers$|[kK]eys?$/;

/** Secrets that can be guessed, and addresses at which credentials travel in the clear. */
export function weaknessFindings(config: Config): Finding[] {
  return [...weakSecrets(config), ...plainAddresses(config)];
}

function weakSecrets(config: Config): Finding[] {
  const found: Finding[] = [];
  for (const { path, secret } of configKeys()) {
    if (!secret || (NOT_OURS.test(path) && path !== 'relay.jwt.secretKey' && path !== 'audit.chain.key')) continue;
    const value = path.split('.').reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), config);
    const texts = [value].flat().filter((text) => typeof text === 'string');
    const reason = texts.map(weakness).find((text) => text !== undefined);
    if (reason !== undefined)
      found.push(
        warn(path, `the secret ${reason}`, 'use a random one: `postern secrets` or `openssl rand -base64 32`'),
      );
  }
  for (const [index, { clientSecret }] of config.auth.providers.entries())
    if (clientSecret !== undefined && GUESSABLE.test(clientSecret) && clientSecret.length < 24)
      found.push(
        warn(
          `auth.providers[${index}].clientSecret`,
          'the secret is a word that people try first',
          'have the provider make one',
        ),
      );
  return found;
}

function weakness(secret: string): string | undefined {
  if (secret.length < SHORTEST_SECRET) return `has ${secret.length} characters, fewer than ${SHORTEST_SECRET}`;
  if (new Set(secret).size < MONOTONOUS) return `has only ${new Set(secret).size} different characters`;
  return GUESSABLE.test(secret) && secret.length < 32 ? 'begins with a word that people try first' : undefined;
}

function plainAddresses({ publicUrl, auth, relay }: Config): Finding[] {
  const found: Finding[] = [];
  const look = (key: string, address: string | undefined, travels: string) => {
    if (address !== undefined && isPlainOffLoopback(address))
      found.push(warn(key, `${address} is plain http and not a loopback address: ${travels}`, 'use https'));
  };
  // Where people sign in, the configuration's own warning says more.
  if (!auth.providers.some(({ clientId }) => clientId !== undefined))
    look('publicUrl', publicUrl, 'tokens can be read on the way');
  const keys = 'an attacker who changes the answer chooses the keys that tokens are verified with';
  for (const [index, { issuer, discoveryUrl, jwksUri, introspection }] of auth.providers.entries()) {
    const at = `auth.providers[${index}]`;
    if (discoveryUrl === undefined) look(`${at}.issuer`, issuer, keys);
    look(`${at}.discoveryUrl`, discoveryUrl, keys);
    look(`${at}.jwksUri`, jwksUri, keys);
    look(`${at}.introspection.url`, introspection.url, 'tokens and our secret can be read on the way');
  }
  look('relay.trust.assertion.jwksUrl', relay.trust.assertion?.jwksUrl, keys);
  look('relay.trust.token.jwksUrl', relay.trust.token?.jwksUrl, keys);
  for (const [name, { url, credential, assertion, identityHeaders }] of Object.entries(relay.servers))
    if (credential !== undefined || assertion || identityHeaders)
      look(`relay.servers.${name}.url`, url, 'credentials and identities can be read on the way');
  return found;
}
