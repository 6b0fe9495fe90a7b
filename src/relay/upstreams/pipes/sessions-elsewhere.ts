import { randomUUID } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { DependencyUnavailable } from '../../../platform/errors.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { NO_SESSION } from '../../protocol/error-codes.ts';
import { errorMessage, type Json } from '../../protocol/json-rpc.ts';
import { RefusedError, refusalOf } from '../../refusal.ts';
import type { ReplicaTalk } from '../../replica-talk.ts';
import type { LocalResponse } from '../local-response.ts';
import type { UpstreamRequest } from '../upstream.ts';

/** A request within a session, as one replica asks it of another. */
export interface SessionRequest extends Pick<UpstreamRequest, 'method'> {
  readonly session: string;
  /** From `ownerKey(identity)`: whoever the asking replica let in. */
  readonly owner: string;
  /** The message; null: none. */
  readonly body: string | null;
}

/** Serves it where the session is in this process. @returns false where it is not */
export type Serve = (request: SessionRequest, handler: Dispatcher.DispatchHandler) => boolean;

/** Milliseconds for the replica that holds a session to say so, and of its silence after that. */
const FOUND = 2_000;
const SILENCE = 20_000;
const SIGN_OF_LIFE = 5_000;
/** Requests that may wait for other replicas, streams included. */
const MAX_ASKED = 10_000;

/**
 * Sessions with servers behind a pipe live where the pipe is. A request that comes to another replica is served there, and its
 * response passed on piece by piece.
 */
export class SessionsElsewhere {
  readonly #talk: ReplicaTalk;
  readonly #serve: Serve;
  readonly #end: () => void;
  readonly #asked = new Map<string, (said: Json) => void>();
  /** What others asked of this replica. */
  readonly #served = new Map<string, Dispatcher.DispatchController>();

  constructor(talk: ReplicaTalk, serve: Serve) {
    this.#talk = talk;
    this.#serve = serve;
    this.#end = talk.hear((message) => this.#hear(message));
  }

  ask(request: SessionRequest, response: LocalResponse): void {
    if (!this.#talk.heard || this.#asked.size >= MAX_ASKED)
      return void response.abort(new RefusedError(refusalOf(new DependencyUnavailable('the other replicas'))));
    const id = randomUUID();
    const unknown = () => response.answer(errorMessage(null, NO_SESSION, 'session not found'), 404);
    const lost = () => response.abort(new Error('the replica that held the session has gone'));
    let late = setTimeout(unknown, FOUND);
    this.#asked.set(id, (said) => {
      clearTimeout(late);
      late = setTimeout(lost, SILENCE);
      passOn(said, response);
    });
    response.signal.addEventListener(
      'abort',
      () => {
        clearTimeout(late);
        if (this.#asked.delete(id)) this.#talk.say({ kind: 'gone', id });
      },
      { once: true },
    );
    this.#talk.say({ kind: 'request', id, request });
  }

  close(): void {
    this.#end();
    for (const controller of this.#served.values()) controller.abort(new Error('the relay ends'));
  }

  #hear({ kind, id, request, ...said }: Json): void {
    if (typeof id !== 'string') return;
    if (kind === 'said') this.#asked.get(id)?.(said);
    else if (kind === 'gone') this.#served.get(id)?.abort(new Error('the client is gone'));
    else if (kind === 'request' && isRecord(request)) this.#run(id, request as unknown as SessionRequest);
  }

  #run(id: string, request: SessionRequest): void {
    const say = (message: Json) => this.#talk.say({ kind: 'said', id, ...message });
    const alive = setInterval(() => say({}), SIGN_OF_LIFE);
    const over = (message: Json) => {
      clearInterval(alive);
      this.#served.delete(id);
      say(message);
    };
    const here = this.#serve(request, {
      onRequestStart: (controller) => {
        this.#served.set(id, controller);
        say({});
      },
      onResponseStart: (_controller, status, headers) => say({ status, headers }),
      onResponseData: (_controller, chunk) => say({ text: chunk.toString() }),
      onResponseEnd: () => over({ end: true }),
      onResponseError: (_controller, error) => over({ failed: error.message }),
    });
    if (!here) clearInterval(alive);
  }
}

function passOn({ status, headers, text, end, failed }: Json, response: LocalResponse): void {
  if (typeof status === 'number' && isRecord(headers)) response.begin(status, headers as Record<string, string>);
  if (typeof text === 'string') response.write(text);
  if (end === true) response.finish();
  if (typeof failed === 'string') response.abort(new Error(failed));
}
