import type { z } from 'zod';
import { ANYONE_SIGNED_IN } from './anyone-signed-in.ts';
import type { authSchema } from './auth-schema.ts';

/** Providers are told apart by id and issuer, and may only speak of servers that there are. */
export function checkProviders(
  { providers, rules, originMetadata, broker }: z.output<typeof authSchema>,
  servers: readonly string[],
  context: z.RefinementCtx,
): void {
  const issue = (path: Array<string | number>, message: string) =>
    context.addIssue({ code: 'custom', path: ['auth', 'providers', ...path], message });
  const handsOn = (message: string) => context.addIssue({ code: 'custom', path: ['auth', 'originMetadata'], message });
  if (originMetadata !== undefined && !providers.some(({ id }) => id === originMetadata))
    handsOn(`there is no provider "${originMetadata}" in auth.providers`);
  if (originMetadata !== undefined && broker.enabled)
    handsOn('the broker has metadata of its own there: set one of the two');
  for (const kind of ['id', 'issuer'] as const) {
    const values = providers.map((provider) => provider[kind]);
    for (const [index, value] of values.entries())
      if (values.indexOf(value) !== index) issue([index, kind], `"${value}" is used twice`);
  }
  for (const [index, provider] of providers.entries()) {
    if (!provider.clientAsAudience) continue;
    const listed = [...provider.audiences, ...Object.values(provider.serverAudiences).flat()];
    if (provider.authorizedParties.length === 0)
      issue([index, 'clientAsAudience'], 'needs authorizedParties, or every client of the provider would be let in');
    else if (!provider.authorizedParties.some((client) => listed.includes(client)))
      issue(
        [index, 'clientAsAudience'],
        'no client of authorizedParties is in audiences or serverAudiences: name there what their tokens are for',
      );
  }
  const anyToken = providers.filter(({ introspection }) => introspection.enabled && introspection.tokens === undefined);
  for (const [index, rule] of rules.entries()) {
    const named = rule.allow === ANYONE_SIGNED_IN ? undefined : rule.allow?.providers;
    const asked = anyToken.filter(({ id }) => named?.includes(id) !== false);
    const [first, second] = asked;
    if (rule.public || first === undefined || second === undefined) continue;
    issue(
      [providers.indexOf(second), 'introspection', 'tokens'],
      `auth.rules[${index}] takes opaque tokens of ${asked.map(({ id }) => id).join(' and ')}: say by globs which are whose, or each is shown those of the other`,
    );
    break;
  }
  for (const [index, { serverAudiences }] of providers.entries())
    for (const server of Object.keys(serverAudiences))
      if (!servers.includes(server) && !isOrigin(server))
        issue(
          [index, 'serverAudiences', server],
          'there is no such server in relay.servers; another host is written as its origin, such as https://grafana.example.com',
        );
}

/** In the one spelling that requests are compared with: lower case, and a port only where it is not the default. */
function isOrigin(text: string): boolean {
  return /^https?:\/\/[^/]*[^/.]$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
