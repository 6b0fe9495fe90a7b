import { ANONYMOUS, type Identity } from '../identity/identity.ts';
import type { Config } from '../platform/config/schema.ts';
import { type CommandLine, optionalText, UsageError } from './command.ts';

export interface ExplainedCaller {
  readonly url: string;
  readonly user: string | undefined;
  readonly groups: readonly string[] | undefined;
  readonly provider: string | undefined;
  readonly scopes: readonly string[] | undefined;
}

/** What the relay's policy says of the message that the options describe; nothing where they describe none. */
export async function explainMessage(config: Config, line: CommandLine, caller: ExplainedCaller): Promise<string[]> {
  const operation = operationOf(line);
  const server = /^\/servers\/([^/]+)\/(?:mcp|sse|ws)$/.exec(new URL(caller.url).pathname)?.[1];
  if (operation === undefined) return [];
  if (server === undefined)
    throw new UsageError('--tool and the like are about a server of the relay: give a URL with /servers/NAME/mcp');
  const { explainPolicy } = await import('../relay/policy/explain.ts');
  const readOnly = line.values['read-only'] === true;
  return explainPolicy(config.relay, { ...operation, identity: identityOf(config, caller), server, readOnly });
}

function operationOf(line: CommandLine): { method: string; params: Record<string, unknown> } | undefined {
  const [tool, prompt, resource, method] = ['tool', 'prompt', 'resource', 'mcp-method'].map((name) =>
    optionalText(line, name),
  );
  if ([tool, prompt, resource, method].filter((value) => value !== undefined).length > 1)
    throw new UsageError('give one of --tool, --prompt, --resource and --mcp-method');
  const given = optionalText(line, 'arguments');
  if (given !== undefined && tool === undefined) throw new UsageError('--arguments goes with --tool');
  if (tool !== undefined)
    return { method: 'tools/call', params: { name: tool, ...(given === undefined ? {} : { arguments: json(given) }) } };
  if (prompt !== undefined) return { method: 'prompts/get', params: { name: prompt } };
  if (resource !== undefined) return { method: 'resources/read', params: { uri: resource } };
  return method === undefined ? undefined : { method, params: {} };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError('--arguments must be JSON');
  }
}

function identityOf(config: Config, { user, groups, provider, scopes }: ExplainedCaller): Identity {
  if (user === undefined) return ANONYMOUS;
  const known = config.auth.providers.find(({ id }) => provider === undefined || id === provider);
  return {
    ...ANONYMOUS,
    subject: user,
    groups: groups ?? [],
    scopes: scopes ?? [],
    method: scopes === undefined ? 'session' : 'bearer',
    issuer: known?.issuer ?? '',
  };
}
