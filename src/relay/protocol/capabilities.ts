import { isRecord } from '../../platform/is-record.ts';
import type { Json } from './json-rpc.ts';

/** What a server can have that means the same in both eras. */
const CAPABILITIES = ['tools', 'prompts', 'resources', 'completions', 'logging', 'experimental', 'extensions'] as const;

/** @param described the answer to `initialize` or to `server/discover` */
export function offeredBy({ capabilities }: Json): Json {
  if (!isRecord(capabilities)) return {};
  return Object.fromEntries(
    CAPABILITIES.flatMap((name) => (isRecord(capabilities[name]) ? [[name, capabilities[name]] as const] : [])),
  );
}

/** What a server may ask its client, and the ability that the client must have declared (client features). */
export const CLIENT_ABILITIES: ReadonlyMap<unknown, string> = new Map([
  ['elicitation/create', 'elicitation'],
  ['sampling/createMessage', 'sampling'],
  ['roots/list', 'roots'],
]);

/** The answer to a question that the client refuses; undefined: only an error says so. */
export function refusedResult(method: unknown): Json | undefined {
  return method === 'elicitation/create' ? { action: 'cancel' } : undefined;
}
