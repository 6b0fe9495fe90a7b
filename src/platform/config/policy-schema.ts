import { z } from 'zod';
import { anyoneOr } from './anyone-signed-in.ts';
import { duration, scope, size } from './values.ts';

const globs = (description: string) => z.array(z.string().min(1)).min(1).meta({ description });

const who = z.strictObject({
  users: z.array(z.string().min(1)).min(1).optional().meta({ description: 'subjects; or in one of `groups`' }),
  groups: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .meta({ description: 'members of one of these groups; or one of `users`' }),
  issuers: z.array(z.string().min(1)).min(1).optional().meta({ description: 'and known from one of these issuers' }),
  scopes: z.array(scope).min(1).optional().meta({ description: 'and with all of these scopes' }),
  authentication: z
    .array(z.enum(['session', 'bearer', 'api-key', 'mtls']))
    .min(1)
    .optional()
    .meta({ description: 'and signed in by one of these kinds of credential' }),
  anonymous: z
    .boolean()
    .default(false)
    .meta({ description: 'only anonymous users, who fall under no allow rule without this' }),
});

const policyRule = z.strictObject({
  effect: z.enum(['allow', 'deny']).default('allow').meta({ description: 'what the rule does with what it matches' }),
  who: anyoneOr(who).optional().meta({
    description: 'for whom, or `anyone-signed-in`; may be absent in a deny rule only, which then holds for everybody',
  }),
  servers: globs('names in relay.servers').default(['*']),
  methods: globs('MCP methods; absent with `tools`, `prompts` or `resources`: those that use them').optional(),
  tools: globs('names of tools').optional(),
  prompts: globs('names of prompts').optional(),
  resources: globs('URIs of resources').optional(),
  readOnly: z
    .boolean()
    .default(false)
    .meta({ description: 'only tools that the server lists with `readOnlyHint: true`' }),
  arguments: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'JSON Schema (2020-12) that the arguments must satisfy for the rule to hold' }),
  dryRun: z
    .boolean()
    .default(false)
    .meta({ description: 'a deny rule that only logs, counts and audits what it would refuse' }),
});

const callLimit = z.strictObject({
  servers: globs('names in relay.servers').default(['*']),
  tools: globs('names of tools').default(['*']),
  maxArguments: size('the arguments of a call, as JSON').optional(),
  maxResult: size('the answer to a call').optional(),
  timeout: duration('until the answer to a call must have come whole').optional(),
});

/** What the relay allows beyond knowing who calls. */
export const policySchema = z.strictObject({
  default: z.enum(['allow', 'deny']).default('deny').meta({ description: 'what holds where no rule matches' }),
  dryRun: z
    .boolean()
    .default(false)
    .meta({ description: 'nothing is refused: what would be is logged, counted and audited' }),
  readOnly: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'servers of which only read-only tools may be called, whatever the rules say' }),
  rules: z.array(policyRule).default([]).meta({ description: 'the first that matches holds' }),
});

export const callLimits = z
  .array(callLimit)
  .default([])
  .meta({ description: 'size and time of tool calls; of several that match, the strictest' });

/** Definitions of tools that must not change unseen. */
export const pinsSchema = z.strictObject({
  servers: z.array(z.string().min(1)).default([]).meta({
    description: 'servers whose tools are held back where their definition changed, until an operator approves',
  }),
  newTools: z.enum(['first-list', 'trust', 'hold']).default('first-list').meta({
    description:
      '`first-list`: the tools of the first list are pinned as they are, later ones held back; `trust`: every new one is pinned; `hold`: every one is held back',
  }),
});

export const relayRateLimit = z.strictObject({
  by: z.enum(['user', 'server', 'tool']).meta({
    description: '`user`: all messages of a user; `server`: those to one server; `tool`: calls of one tool',
  }),
  limit: z.int().min(1).meta({ description: 'messages in a window' }),
  per: duration('the window'),
  servers: globs('only for these servers').default(['*']),
  tools: globs('only for these tools, with `by: tool`').default(['*']),
});
