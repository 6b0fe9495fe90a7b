import { z } from 'zod';
import { isRecord } from '../../platform/is-record.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Description } from './capabilities.ts';

/** The session with one server, and what it offers. */
export interface Opened {
  /** Undefined: the server has begun none, and needs none. */
  readonly id: string | undefined;
  readonly version: string;
  readonly capabilities: Json;
}

const stored = z.tuple([z.string(), z.string(), z.record(z.string(), z.unknown())]);

/** As it is kept in the id of the client's session. */
export function toText({ id = '', version, capabilities }: Opened): string {
  return JSON.stringify([id, version, capabilities]);
}

/** @throws where the text is none of {@link toText} */
export function fromText(text: string): Opened {
  const [id, version, capabilities] = stored.parse(JSON.parse(text));
  return { id: id === '' ? undefined : id, version, capabilities };
}

/** Of what a server offers, the part that the whole can offer; the rest would only make ids of sessions long. */
export function usedCapabilities(given: unknown): Json {
  if (!isRecord(given)) return {};
  const used: Record<string, unknown> = {};
  for (const name of ['tools', 'prompts', 'resources', 'logging', 'completions'])
    if (isRecord(given[name])) used[name] = {};
  if (isRecord(given.resources) && given.resources.subscribe === true) used.resources = { subscribe: true };
  return used;
}

/** @param result of `initialize` or `server/discover` */
export function descriptionOf({ capabilities, instructions }: Json): Description {
  return {
    capabilities: usedCapabilities(capabilities),
    instructions: typeof instructions === 'string' ? instructions : undefined,
  };
}
