import { z } from 'zod';
import type { Cause } from '../../../identity/denial-cause.ts';
import { ANONYMOUS, type Identity, identityOf } from '../../../identity/identity.ts';
import { readNamedUser } from '../../../identity/user.ts';
import type { Config } from '../../../platform/config/schema.ts';
import type { Tools } from '../../gate/tools/tools.ts';
import { compilePolicy } from '../../policy/compile.ts';
import type { Denied } from '../../policy/policy-decision.ts';
import { notFound, Operation } from './operation.ts';

const names = z.array(z.string().max(1_024)).max(200);

const question = z.object({
  user: z
    .string()
    .max(1_024)
    .default('')
    .meta({ description: '`<issuer>#<subject>` or the subject; empty: an anonymous user' }),
  issuer: z.string().max(1_024).default(''),
  groups: names.default([]),
  scopes: names.default([]),
  credential: z.enum(['session', 'bearer', 'api-key', 'mtls']).default('session'),
  server: z.string(),
  method: z.string().max(256).default('tools/call'),
  object: z
    .string()
    .max(2_048)
    .optional()
    .meta({ description: 'the tool with `tools/call`, the prompt with `prompts/get`, the URI with `resources/read`' }),
  arguments: z.record(z.string(), z.unknown()).optional().meta({ description: 'of the tool' }),
});

const denied = z.object({
  rule: z.string(),
  reason: z.enum(['no_rule', 'rule', 'read_only', 'unclear']),
  permission: z.string(),
  scopes: z.array(z.string()).meta({ description: 'with which it would be allowed' }),
  needs: z.string().meta({ description: 'what the rule, or the nearest one, asks for' }),
  has: z.string(),
  fix: z.string(),
});

/** What the policy says, and what it would say. */
export function policyOperations(config: Pick<Config, 'relay'>, tools: Tools) {
  const isReadOnly = (server: string, tool: string) => tools.book.isReadOnly(server, tool);
  return {
    getPolicy: new Operation(
      {
        id: 'getPolicy',
        method: 'GET',
        path: '/policy',
        summary: 'The policy of the relay',
        input: z.object({}),
        output: z.object({
          configured: z.boolean().meta({ description: 'false: every user who gets in may use everything' }),
          default: z.enum(['allow', 'deny']).optional(),
          dryRun: z.boolean(),
          readOnly: z.array(z.string()),
          rules: z.array(
            z.object({
              name: z.string(),
              effect: z.enum(['allow', 'deny']),
              dryRun: z.boolean(),
              when: z.record(z.string(), z.unknown()),
            }),
          ),
        }),
      },
      () => {
        const { policy } = config.relay;
        return {
          configured: policy !== undefined,
          default: policy?.default,
          dryRun: policy?.dryRun ?? false,
          readOnly: [...(policy?.readOnly ?? [])],
          rules: (policy?.rules ?? []).map(({ effect, dryRun, ...when }, index) => ({
            name: `relay.policy.rules[${index}]`,
            effect,
            dryRun,
            when: JSON.parse(JSON.stringify(when)) as Record<string, unknown>,
          })),
        };
      },
    ),
    explainPolicy: new Operation(
      {
        id: 'explainPolicy',
        method: 'POST',
        path: '/policy/explain',
        summary: 'What would be decided about a message, and by which rule',
        input: question,
        output: z.object({
          allowed: z.boolean(),
          rule: z.string().optional().meta({ description: 'absent: there is no policy' }),
          denied: denied.optional(),
          wouldDeny: denied.optional().meta({ description: 'what a rule in dry run would have said' }),
          heldBack: z
            .boolean()
            .meta({ description: 'the tool is refused all the same, until its definition is approved' }),
        }),
        problems: { 404: 'There is no such server.', 415: 'The body is not JSON.' },
      },
      (asked) => {
        const { policy, servers } = config.relay;
        if (!Object.hasOwn(servers, asked.server)) throw notFound('there is no such MCP server in relay.servers');
        const { server, method, object } = asked;
        const heldBack = method === 'tools/call' && object !== undefined && tools.book.holds(server, object);
        if (policy === undefined) return { allowed: true, heldBack };
        const compiled = compilePolicy(policy, Object.keys(servers), isReadOnly);
        const call = { identity: callerOf(asked), server, method, params: paramsOf(asked) };
        const decision = compiled.judge(call);
        const told = (denied: Denied) => listed(denied, compiled.explain(call, denied));
        if (decision.kind === 'denied')
          return { allowed: false, rule: decision.rule, denied: told(decision), heldBack };
        const { rule, wouldDeny } = decision;
        return { allowed: true, rule, wouldDeny: wouldDeny && told(wouldDeny), heldBack };
      },
    ),
  };
}

type Question = z.output<typeof question>;

function callerOf({ user, issuer: at, groups, scopes, credential }: Question): Identity {
  if (user === '') return ANONYMOUS;
  const { issuer = at, subject } = readNamedUser(user);
  return identityOf({ issuer, subject }, { groups, scopes, method: credential });
}

function paramsOf({ method, object, arguments: given }: Question): Record<string, unknown> {
  if (object === undefined) return {};
  if (method.startsWith('resources/')) return { uri: object };
  return { name: object, ...(given === undefined ? {} : { arguments: given }) };
}

function listed({ rule, reason, permission, scopes }: Denied, cause: Cause) {
  return { rule, reason, permission, scopes: [...scopes], ...cause };
}
