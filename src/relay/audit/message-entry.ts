import type { Identity } from '../../identity/identity.ts';
import type { AuditEntry } from '../../platform/audit/audit-entry.ts';
import type { Config } from '../../platform/config/schema.ts';
import { Names } from '../../platform/names.ts';
import { operationOf } from '../policy/operation.ts';
import type { Message } from '../protocol/message.ts';

/** Which arguments of which calls are recorded. */
export class RecordedArguments {
  readonly #allowed: ReadonlyArray<{ servers: Names; tools: Names; names: ReadonlySet<string> }>;

  constructor(config: Config['audit']['arguments']) {
    this.#allowed = config.map(({ servers, tools, names }) => ({
      servers: new Names(servers),
      tools: new Names(tools),
      names: new Set(names),
    }));
  }

  of(server: string, tool: string, given: unknown): Record<string, unknown> | undefined {
    if (typeof given !== 'object' || given === null) return undefined;
    const recorded: Record<string, unknown> = {};
    for (const { servers, tools, names } of this.#allowed) {
      if (!servers.has(server) || !tools.has(tool)) continue;
      for (const [name, value] of Object.entries(given)) if (names.has(name)) recorded[name] = short(value);
    }
    return Object.keys(recorded).length === 0 ? undefined : recorded;
  }
}

/** Characters of a value that is no plain text or number. */
const MAX_VALUE = 1_024;

/** What is large would make the line large; a list or an object is recorded as text where it is. */
function short(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : value;
}

interface RecordedMessage {
  readonly identity: Identity;
  readonly way: string;
  readonly server: string;
  readonly message: Message;
  readonly requestId: () => string;
}

/** Who sent what where, of which proxy's or token's word. */
export function messageEntry(
  { identity, way, server, message, requestId }: RecordedMessage,
  recorded: RecordedArguments,
): Omit<AuditEntry, 'event' | 'outcome'> {
  const { method, params } = message;
  const operation = operationOf(method, params);
  const [object] = operation.kind === 'objects' ? operation.objects : [];
  return {
    identity,
    credential: identity.method,
    via: way,
    server,
    action: method ?? 'connect',
    object: object?.name,
    requestId: requestId(),
    arguments: object?.kind === 'tool' ? recorded.of(server, object.name, params.arguments) : undefined,
  };
}
