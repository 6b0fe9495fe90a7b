import { randomUUID } from 'node:crypto';
import { isRecord } from '../../platform/is-record.ts';
import type { Logger } from '../../platform/log.ts';
import type { Sealing } from '../../platform/sealing/sealing.ts';
import type { Stores } from '../../stores/stores.ts';
import { parseJson, writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';

/** Messages between the replicas of the relay about one topic. */
export interface ReplicaChannel {
  /** Whether the other replicas receive what is published. */
  readonly connected: boolean;
  /** To all other replicas. Never fails: while the store cannot be reached, they receive nothing. */
  publish(message: Json): void;
  /** @returns ends the subscription */
  subscribe(listener: (message: Json) => void): () => void;
}

/**
 * Channels through the store, sealed because the messages carry what people ask and answer.
 *
 * @returns undefined if there is one process only; otherwise opens the channel of a topic
 */
export function openReplicaChannels(
  { kind, pubSub }: Pick<Stores, 'kind' | 'pubSub'>,
  sealing: Sealing,
  log: Logger,
): ((topic: string) => ReplicaChannel) | undefined {
  if (kind === 'memory') return undefined;
  const own = randomUUID();
  return (topic) => ({
    get connected() {
      return pubSub.complete;
    },
    publish: (message) => {
      const sealed = sealing.seal(topic, writeJson({ from: own, message }));
      pubSub
        .publish(topic, sealed)
        .catch((error: unknown) => log.warn({ error }, 'other replicas did not receive a message about a session'));
    },
    subscribe: (listener) =>
      pubSub.subscribe(topic, (sealed) => {
        const text = sealing.open(topic, sealed);
        const published: unknown = text === undefined ? undefined : parseJson(text.toString());
        if (isRecord(published) && published.from !== own && isRecord(published.message)) listener(published.message);
      }),
  });
}
