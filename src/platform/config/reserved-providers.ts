import type { z } from 'zod';
import { ANYONE_SIGNED_IN } from './anyone-signed-in.ts';
import type { authSchema } from './auth-schema.ts';

/** Names in `allow.providers` for identities that no configured provider issues. */
const RESERVED = ['api-keys', 'mtls', 'mcp-clients'] as const;

/**
 * Checks that rules say whose users and groups they mean. API keys need not be named beside a single provider: the
 * operator chose their subject and groups. The names of certificates are another authority's.
 */
export function checkRuleProviders(auth: z.output<typeof authSchema>, context: z.RefinementCtx): void {
  const issue = (path: Array<string | number>, message: string) =>
    context.addIssue({ code: 'custom', path: ['auth', ...path], message });
  const ids = auth.providers.map((entry) => entry.id);
  for (const [index, id] of ids.entries())
    if ((RESERVED as readonly string[]).includes(id)) issue(['providers', index, 'id'], `"${id}" is a reserved name`);
  const certificates = auth.clientCertificates.header !== 'none';
  const authorities = [...ids, ...(certificates ? ['mtls'] : [])];
  const machines = auth.broker.enabled && auth.broker.clientCredentials;
  const known = [...authorities, ...(auth.apiKeys.enabled ? ['api-keys'] : []), ...(machines ? ['mcp-clients'] : [])];
  for (const [index, { allow: stated, emit, public: everybody }] of auth.rules.entries()) {
    const allow = stated === ANYONE_SIGNED_IN ? undefined : stated;
    const path = ['rules', index, 'allow', 'providers'];
    const strange = allow?.providers?.find((id) => !known.includes(id));
    if (strange === 'api-keys') issue(path, 'API keys are not taken: write the section auth.apiKeys');
    else if (strange === 'mtls') issue(path, 'client certificates are not taken: set auth.clientCertificates.header');
    else if (strange === 'mcp-clients')
      issue(path, 'clients get no tokens for themselves: set auth.broker.clientCredentials');
    else if (strange !== undefined) issue(path, `there is no provider "${strange}" in auth.providers`);
    // Subjects and groups are unique within one issuer only (OpenID Connect Core §5.7).
    if (allow !== undefined && allow.providers === undefined && authorities.length > 1)
      issue(path, `name whose users and groups are meant, of: ${known.join(', ')}`);
    const emitted = allow?.providers?.filter((id) => authorities.includes(id)) ?? authorities;
    if (emit.length > 0 && !everybody && emitted.length > 1)
      issue(
        ['rules', index, 'emit'],
        `these headers name a person without the provider, and each could have one of the same name: let allow.providers name one of: ${emitted.join(', ')}`,
      );
  }
}
