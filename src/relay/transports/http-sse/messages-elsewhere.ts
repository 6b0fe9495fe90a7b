import { randomUUID } from 'node:crypto';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { ReplicaTalk } from '../../replica-talk.ts';

/** What became of a message: `full` where its stream has no room now, `nobody` where no replica holds the stream. */
export type Handed = 'taken' | 'full' | 'nobody';

/** Milliseconds after which nobody holds the stream: the replicas are near each other. */
const WAIT = 2_000;
/** Messages that may wait for a word of another replica. */
const MAX_WAITING = 1_000;

/** Messages for streams that another replica holds: a proxy sends each POST wherever it likes. */
export class MessagesElsewhere {
  readonly #talk: ReplicaTalk;
  readonly #waiting = new Map<string, (how: Handed) => void>();
  readonly #end: () => void;

  /** @param take takes a message that another replica got; undefined: the stream is not here */
  constructor(talk: ReplicaTalk, take: (connection: string, bytes: Buffer) => 'taken' | 'full' | undefined) {
    this.#talk = talk;
    this.#end = talk.hear((message) => {
      if (message.kind === 'took') this.#took(message);
      if (message.kind !== 'message') return;
      const { connection, bytes, ask } = message;
      if (typeof connection !== 'string' || typeof bytes !== 'string') return;
      const how = take(connection, Buffer.from(bytes, 'base64'));
      if (how !== undefined) talk.say({ kind: 'took', ask, how });
    });
  }

  /**
   * @param connection id of the stream, from a session id that was opened: whose it is has been checked
   * @throws DependencyUnavailable where the other replicas cannot be asked
   */
  hand(connection: string, bytes: Buffer): Promise<Handed> {
    if (!this.#talk.heard) throw new DependencyUnavailable('the store between the replicas of the relay');
    if (this.#waiting.size >= MAX_WAITING) return Promise.resolve('full');
    const ask = randomUUID();
    return new Promise((resolve) => {
      const settle = (how: Handed) => {
        clearTimeout(timer);
        this.#waiting.delete(ask);
        resolve(how);
      };
      const timer = setTimeout(() => settle('nobody'), WAIT);
      this.#waiting.set(ask, settle);
      this.#talk.say({ kind: 'message', ask, connection, bytes: bytes.toString('base64') });
    });
  }

  close(): void {
    this.#end();
    for (const settle of [...this.#waiting.values()]) settle('nobody');
  }

  #took({ ask, how }: Json): void {
    if (typeof ask === 'string' && (how === 'taken' || how === 'full')) this.#waiting.get(ask)?.(how);
  }
}
