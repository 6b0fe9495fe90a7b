import type { Identity } from '../identity/identity.ts';
import type { ConfigDocument } from '../platform/config/config-document.ts';
import type { Config } from '../platform/config/schema.ts';
import type { PolicyExplanation } from '../relay/policy/explain.ts';
import { type CommandLine, optionalText, UsageError } from './command.ts';

export interface ExplainedCaller {
  readonly url: string;
  readonly identity: Identity;
  /** The file that the configuration was read from. */
  readonly document: ConfigDocument | undefined;
}

/** What the relay's policy says of the message that the options describe; undefined where they describe none. */
export async function explainMessage(
  config: Config,
  line: CommandLine,
  { url, identity, document }: ExplainedCaller,
): Promise<{ readonly explanation: PolicyExplanation; readonly lines: readonly string[] } | undefined> {
  const operation = operationOf(line);
  if (operation === undefined) return undefined;
  const server = /\/servers\/([^/]+)\/(?:mcp|sse|ws)\/?$/.exec(new URL(url).pathname)?.[1];
  if (server === undefined)
    throw new UsageError('--tool and the like are about a server of the relay: give a URL with /servers/NAME/mcp');
  const { explainPolicy, policyLines } = await import('../relay/policy/explain.ts');
  const readOnly = line.values['read-only'] === true;
  const explanation = explainPolicy(config.relay, { ...operation, identity, server, readOnly }, document);
  return { explanation, lines: policyLines(explanation) };
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
