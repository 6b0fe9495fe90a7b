import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Description } from '../upstreams/mcp-server.ts';

/** Capabilities that can be offered for several servers at once; of the others nobody could say which server is meant. */
const LISTED = ['tools', 'prompts', 'resources'] as const;
const PLAIN = ['logging', 'completions'] as const;

/**
 * What at least one of the servers offers. A list can change even where no server says that its own does: a server goes away
 * or comes back.
 */
export function mergedCapabilities(descriptions: Iterable<Description>): Json {
  const all = [...descriptions].map(({ capabilities }) => capabilities);
  const merged: Record<string, unknown> = {};
  for (const name of LISTED) if (all.some((own) => isRecord(own[name]))) merged[name] = { listChanged: true };
  if (all.some(({ resources }) => isRecord(resources) && resources.subscribe === true))
    merged.resources = { listChanged: true, subscribe: true };
  for (const name of PLAIN) if (all.some((own) => isRecord(own[name]))) merged[name] = {};
  // Of an extension that several have, the settings of the first.
  const extensions = all.map((own) => own.extensions).filter(isRecord);
  if (extensions.length > 0) merged.extensions = Object.assign({}, ...extensions.reverse());
  return merged;
}

/** Characters of one server's instructions that are passed on: they all end up in the prompt of a model. */
const MAX_INSTRUCTIONS = 8192;

/** The instructions of the servers under each other, and how their names are to be read. */
export function mergedInstructions(
  descriptions: ReadonlyMap<string, Description>,
  separator: string,
): string | undefined {
  if (descriptions.size === 0) return undefined;
  const parts = [...descriptions].flatMap(([server, { instructions }]) =>
    instructions === undefined || instructions.trim() === ''
      ? []
      : [`# ${server}\n\n${instructions.trim().slice(0, MAX_INSTRUCTIONS)}`],
  );
  const servers = [...descriptions.keys()].join(', ');
  const names = `These are several MCP servers as one: ${servers}. A name begins with its server: <server>${separator}<name>.`;
  return [names, ...parts].join('\n\n');
}
