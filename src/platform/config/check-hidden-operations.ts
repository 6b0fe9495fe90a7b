import type { z } from 'zod';
import type { authSchema } from './auth-schema.ts';
import type { relaySchema } from './relay-schema.ts';

/** Characters of a rule's scopes that may travel with each request, beside everything else in its headers. */
const MAX_SCOPES = 4_096;

/** What forward-auth leaves to the relay must be asked there: the relay learns it from the assertion. */
export function checkHiddenOperations(
  { hiddenOperations, rules }: z.output<typeof authSchema>,
  { trust }: z.output<typeof relaySchema>,
  context: z.RefinementCtx,
): void {
  if (hiddenOperations !== 'relay') return;
  const issue = (path: Array<string | number>, message: string) =>
    context.addIssue({ code: 'custom', path: ['auth', ...path], message });
  if (!trust.enabled || trust.assertion === undefined)
    issue(
      ['hiddenOperations'],
      'needs relay.trust.assertion: the relay is told by the assertion what to ask, and without it nothing is asked',
    );
  for (const [index, { scopes }] of rules.entries())
    if (JSON.stringify(scopes).length > MAX_SCOPES)
      issue(['rules', index, 'scopes'], `longer than ${MAX_SCOPES} characters, which is too much for a header`);
}
