import { randomUUID } from 'node:crypto';
import { isRecord } from '../platform/is-record.ts';
import type { Logger } from '../platform/log.ts';
import type { Sealing } from '../platform/sealing/sealing.ts';
import type { Stores } from '../stores/stores.ts';
import { parseJson, writeJson } from './protocol/json.ts';
import type { Json } from './protocol/json-rpc.ts';

/** What replicas say to each other about one thing. */
export interface ReplicaTalk {
  /** Whether what was said lately was surely heard. */
  readonly heard: boolean;
  /** To all the others. Never fails: where the store is away, the others do not hear it. */
  say(message: Json): void;
  /** Hears what the others say. @returns ends it */
  hear(listener: (message: Json) => void): () => void;
}

/**
 * Talk through the store, sealed with the key that all replicas share, because it is about what people answer and ask for.
 *
 * @returns undefined where there is one process only; otherwise the talk about one thing, by name
 */
export function openReplicaTalk(
  { kind, announcements }: Pick<Stores, 'kind' | 'announcements'>,
  sealing: Sealing,
  log: Logger,
): ((topic: string) => ReplicaTalk) | undefined {
  if (kind === 'memory') return undefined;
  const own = randomUUID();
  return (topic) => {
    return {
      get heard() {
        return announcements.complete;
      },
      say: (message) => {
        const sealed = sealing.seal(topic, writeJson({ from: own, message }));
        announcements
          .publish(topic, sealed)
          .catch((error: unknown) => log.warn({ error }, 'other replicas did not hear of a session'));
      },
      hear: (listener) =>
        announcements.subscribe(topic, (sealed) => {
          const text = sealing.open(topic, sealed);
          const said: unknown = text === undefined ? undefined : parseJson(text.toString());
          if (isRecord(said) && said.from !== own && isRecord(said.message)) listener(said.message);
        }),
    };
  };
}
