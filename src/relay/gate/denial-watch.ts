import type { Identity } from '../../identity/identity.ts';
import type { Watcher } from '../../watch/watch.ts';
import type { RefusalReason } from '../refusal.ts';

/** Why somebody who is known may not do what they asked for. */
const DENIALS: ReadonlySet<RefusalReason> = new Set(['policy', 'insufficient_scope', 'tool_held_back']);

/** Tells the watch that a message of somebody was refused for what it asks. */
export function observeDenial(
  watch: Watcher | undefined,
  reason: RefusalReason,
  { identity, server }: { readonly identity?: Identity | undefined; readonly server?: string | undefined },
): void {
  if (watch === undefined || identity === undefined || server === undefined || !DENIALS.has(reason)) return;
  watch.observe({ kind: 'tool_denial', person: identity, server, reason });
}
