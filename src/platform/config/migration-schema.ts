import { z } from 'zod';
import { AT_START } from './values.ts';

const held = (description: string, way: string) =>
  z
    .strictObject({
      users: z
        .array(z.string().min(1))
        .default([])
        .meta({ description: `subjects or e-mail addresses held to ${way}` }),
      share: z
        .number()
        .min(0)
        .max(100)
        .default(0)
        .meta({ description: `percentage of all users held to ${way}, always the same ones` }),
    })
    .prefault({})
    .meta({ description });

/** From the relay's own JWTs to a proxy, one user after the other. */
export const migrationSchema = z.strictObject({
  proxyOnly: held('users whom the relay knows by the proxy alone', 'the proxy: their JWTs are refused'),
  jwtOnly: held('users whom the relay knows by their JWT alone', 'their JWT: the proxy’s word for them is refused'),
  maxUsers: z
    .int()
    .min(1)
    .default(10_000)
    .meta({ ...AT_START, description: 'users in the report; who came longest ago goes first' }),
});

export type MigrationConfig = z.output<typeof migrationSchema>;

/** Only where both ways are on can anybody be held to one; and nobody to both. */
export function checkMigration(
  { migration, jwt, trust }: { migration: MigrationConfig; jwt: { enabled: boolean }; trust: { enabled: boolean } },
  context: z.RefinementCtx,
): void {
  const { proxyOnly, jwtOnly } = migration;
  const issue = (path: string[], message: string) =>
    context.addIssue({ code: 'custom', path: ['relay', 'migration', ...path], message });
  const holds = [proxyOnly, jwtOnly].some(({ users, share }) => users.length > 0 || share > 0);
  if (holds && !(jwt.enabled && trust.enabled))
    issue(
      [],
      'needs both ways: relay.jwt.enabled (MCP_CLIENT_AUTH_ENABLED) and relay.trust.enabled (TRUST_PROXY_AUTH)',
    );
  if (proxyOnly.share + jwtOnly.share > 100) issue(['jwtOnly', 'share'], 'the two shares are more than 100 together');
  const both = proxyOnly.users.find((user) => jwtOnly.users.includes(user));
  if (both !== undefined) issue(['jwtOnly', 'users'], `"${both}" is held to the proxy as well`);
}
