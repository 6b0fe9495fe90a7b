import type { RelayConfig } from '../../platform/config/schema.ts';
import { Names } from '../../platform/names.ts';

export interface CallLimit {
  /** Bytes. */
  readonly arguments: number | undefined;
  /** Bytes. */
  readonly result: number | undefined;
  /** Milliseconds. */
  readonly duration: number | undefined;
}

/** Size and time that a call of a tool may take. */
export class CallLimits {
  readonly #limits: ReadonlyArray<CallLimit & { readonly servers: Names; readonly tools: Names }>;

  constructor(config: RelayConfig['callLimits']) {
    this.#limits = config.map(({ servers, tools, maxArguments: size, maxResult: result, timeout: duration }) => ({
      servers: new Names(servers),
      tools: new Names(tools),
      arguments: size,
      result,
      duration,
    }));
  }

  of(server: string, tool: string): CallLimit | undefined {
    return strictest(this.#limits.filter(({ servers, tools }) => servers.has(server) && tools.hasLike(tool)));
  }

  /** Of all calls there, for an answer of which nobody knows whose it is; undefined: none has a limit. */
  strictestAt(server: string): CallLimit | undefined {
    return strictest(this.#limits.filter(({ servers }) => servers.has(server)));
  }
}

function strictest(found: readonly CallLimit[]): CallLimit | undefined {
  if (found.length === 0) return undefined;
  return {
    arguments: least(found.map((limit) => limit.arguments)),
    result: least(found.map((limit) => limit.result)),
    duration: least(found.map((limit) => limit.duration)),
  };
}

function least(values: ReadonlyArray<number | undefined>): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
