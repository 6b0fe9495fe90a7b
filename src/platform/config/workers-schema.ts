import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { AT_START } from './values.ts';

const MAX_WORKERS = 256;

/** How many processes answer at one address. */
export const workers = z
  .union([z.string(), z.number()])
  .transform((given, context) => {
    if (given === 'auto') return 'auto' as const;
    const count = Number(given);
    if (given !== '' && Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS) return count;
    context.addIssue({ code: 'custom', message: `must be auto or a whole number from 1 to ${MAX_WORKERS}` });
    return z.NEVER;
  })
  .prefault(1)
  .meta({
    ...AT_START,
    description:
      'processes that share `listen`: a number, or `auto` for one per core. More than one work as replicas do: they need `redis` and keys of the configuration, and bounds of memory and connections hold for each',
  });

export type Workers = z.output<typeof workers>;

/** @returns processes */
export function workerCount(wanted: Workers): number {
  return wanted === 'auto' ? Math.min(MAX_WORKERS, availableParallelism()) : wanted;
}

interface Key {
  readonly keys?: string | undefined;
  readonly keysPath?: string | undefined;
}

interface Shared {
  readonly redis?: object | undefined;
  readonly auth: {
    readonly workers: Workers;
    readonly assertion: Key;
    readonly sessions: Key;
    readonly providers: ReadonlyArray<{ readonly clientId?: string | undefined }>;
  };
  readonly relay: {
    readonly workers: Workers;
    readonly sessionKey?: string | undefined;
    readonly sessionKeyPath?: string | undefined;
    readonly signing: Key;
    readonly servers: Readonly<
      Record<string, { readonly assertion?: unknown; readonly credential?: object | undefined }>
    >;
  };
}

/**
 * What a worker would make or keep for itself, no other could read. `auto` is held to it on one core as well: a configuration must not
 * begin to fail on a larger machine.
 */
export function checkWorkers({ redis, auth, relay }: Shared, context: z.RefinementCtx): void {
  const issue = (part: string, message: string) =>
    context.addIssue({ code: 'custom', path: [part, 'workers'], message });
  for (const [part, { workers }] of Object.entries({ auth, relay }))
    if (workers !== 1 && redis === undefined)
      issue(part, 'several workers need `redis`: sessions, revocations and rate limits of one must hold in the others');
  const without = ({ keys, keysPath }: Key) => keys === undefined && keysPath === undefined;
  const own = 'otherwise each worker makes its own; `postern secrets` makes one for all';
  if (auth.workers !== 1 && without(auth.assertion))
    issue('auth', `several workers need auth.assertion.keys or auth.assertion.keysPath: ${own}`);
  if (auth.workers !== 1 && without(auth.sessions) && auth.providers.some(({ clientId }) => clientId !== undefined))
    issue('auth', `several workers need auth.sessions.keys or auth.sessions.keysPath: ${own}`);
  if (relay.workers !== 1 && relay.sessionKey === undefined && relay.sessionKeyPath === undefined)
    issue('relay', `several workers need relay.sessionKey or relay.sessionKeyPath: ${own}`);
  const signs = Object.values(relay.servers).some(
    ({ assertion, credential = {} }) => Boolean(assertion) || 'tokenExchange' in credential,
  );
  if (relay.workers !== 1 && signs && without(relay.signing))
    issue('relay', `several workers need relay.signing.keys or relay.signing.keysPath: ${own}`);
}
