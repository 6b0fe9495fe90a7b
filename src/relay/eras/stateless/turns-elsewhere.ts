import { randomUUID } from 'node:crypto';
import { isRecord } from '../../../platform/is-record.ts';
import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { ReplicaTalk } from '../../replica-talk.ts';
import type { Hear } from '../../upstreams/post-message.ts';

/** A client's next request of a call that waits for it. */
export interface NextTurn {
  readonly state: string;
  readonly owner: string;
  /** The request that may go on with the call. */
  readonly what: string;
  readonly method: string;
  readonly inputResponses: unknown;
  readonly meta: Json;
}

/** Goes on with a call that waits in this process. @returns undefined where it does not wait here */
export type GoOn = (turn: NextTurn, hear: Hear, signal: AbortSignal) => Promise<Json> | undefined;

/** Milliseconds for the replica in which the call waits to say so, and of its silence after that. */
const FOUND = 3_000;
const SILENCE = 20_000;
const SIGN_OF_LIFE = 5_000;
/** Requests that may wait for other replicas, of one identity and of all. */
const MAX_PER_OWNER = 16;
const MAX_ASKED = 1_000;

/** Calls that wait in one replica and are answered at another: the one that was asked passes on what the other says. */
export class TurnsElsewhere {
  readonly #talk: ReplicaTalk;
  readonly #goOn: GoOn;
  readonly #ended: () => void;
  /** What this replica asked of others. */
  readonly #asked = new Map<string, { readonly owner: string; readonly take: (message: Json) => void }>();
  /** What others asked of this one: ends the turn. */
  readonly #running = new Map<string, AbortController>();

  constructor(talk: ReplicaTalk, goOn: GoOn) {
    this.#talk = talk;
    this.#goOn = goOn;
    this.#ended = talk.hear((message) => this.#hear(message));
  }

  /** @throws ServerError of the call; undefined where it waits nowhere */
  async goOn(turn: NextTurn, hear: Hear, signal: AbortSignal): Promise<Json | undefined> {
    const id = randomUUID();
    let late: NodeJS.Timeout | undefined;
    // A state that nobody knows costs every replica a look.
    if (this.#isFull(turn.owner)) return undefined;
    let onAbort = () => {};
    try {
      return await new Promise<Json | undefined>((resolve, reject) => {
        const lost = () =>
          reject(new ServerError(SERVER_ERROR, 'the replica that held the call has gone: make it again'));
        late = setTimeout(() => resolve(undefined), FOUND);
        const take = (message: Json) => {
          clearTimeout(late);
          late = setTimeout(lost, SILENCE);
          if (isRecord(message.heard)) hear(message.heard);
          if (isRecord(message.result)) resolve(message.result);
          if (isRecord(message.error)) reject(errorOf(message.error));
        };
        this.#asked.set(id, { owner: turn.owner, take });
        onAbort = () => {
          this.#talk.say({ kind: 'gone', id });
          reject(signal.reason);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        this.#talk.say({ kind: 'turn', id, turn });
      });
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      this.#asked.delete(id);
    }
  }

  close(): void {
    this.#ended();
    for (const turn of this.#running.values()) turn.abort(new Error('the relay ends'));
  }

  #isFull(owner: string): boolean {
    if (this.#asked.size >= MAX_ASKED) return true;
    return [...this.#asked.values()].filter((asked) => asked.owner === owner).length >= MAX_PER_OWNER;
  }

  #hear({ kind, id, turn, ...said }: Json): void {
    if (typeof id !== 'string') return;
    if (kind === 'said') this.#asked.get(id)?.take(said);
    else if (kind === 'gone') this.#running.get(id)?.abort(new Error('the client is gone'));
    else if (kind === 'turn' && isRecord(turn)) void this.#run(id, turn as unknown as NextTurn);
  }

  async #run(id: string, turn: NextTurn): Promise<void> {
    const say = (message: Json) => this.#talk.say({ kind: 'said', id, ...message });
    const gone = new AbortController();
    let alive: NodeJS.Timeout | undefined;
    try {
      const result = this.#goOn(turn, (heard) => say({ heard }), gone.signal);
      if (result === undefined) return;
      this.#running.set(id, gone);
      alive = setInterval(() => say({}), SIGN_OF_LIFE);
      say({});
      say({ result: await result });
    } catch (error) {
      const { json } =
        error instanceof ServerError ? error : new ServerError(SERVER_ERROR, 'the MCP server gave no answer');
      say({ error: json });
    } finally {
      clearInterval(alive);
      this.#running.delete(id);
    }
  }
}

function errorOf({ code, message, data }: Json): ServerError {
  return new ServerError(Number(code), String(message), data);
}
