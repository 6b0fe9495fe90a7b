import { isRecord } from '../../../platform/is-record.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { Hear } from '../../upstreams/post-message.ts';
import type { HeldSession } from './held-session.ts';

/** What a server may ask its client, and the ability that the client must have declared (client features). */
const QUESTIONS: ReadonlyMap<unknown, string> = new Map([
  ['elicitation/create', 'elicitation'],
  ['sampling/createMessage', 'sampling'],
  ['roots/list', 'roots'],
]);

/** What comes of a call until its client has to do something. */
export type Turn =
  | { readonly kind: 'answer'; readonly result: Json }
  | { readonly kind: 'questions'; readonly questions: Readonly<Record<string, Json>> };

/** What the client of one turn takes: progress goes by the token of its own request. */
export interface Listener {
  readonly hear: Hear;
  readonly progressToken: unknown;
}

/**
 * One request in a held session. It goes on at the server while the client is asked something, which for the client are
 * several requests (2026-07-28, multi round-trip requests).
 */
export class HeldCall {
  readonly #capabilities: Json;
  readonly #end = new AbortController();
  readonly #answer: Promise<Json>;
  readonly #open = new Map<string, { readonly id: unknown; readonly request: Json }>();
  #session: HeldSession | undefined;
  #listener: Listener | undefined;
  #asked: (() => void) | undefined;

  /**
   * @param capabilities what the client can be asked; none where the answer to this request cannot be a question
   * @param start sends the request; all that it says until its answer must come to `take`
   */
  constructor(
    capabilities: Json,
    start: (call: { take: (from: HeldSession, message: Json) => void; signal: AbortSignal }) => Promise<Json>,
  ) {
    this.#capabilities = capabilities;
    this.#answer = start({ take: (from, message) => this.#take(from, message), signal: this.#end.signal });
    // Whoever takes the next turn sees it; where nobody does, nobody has to.
    this.#answer.catch(() => {});
  }

  /**
   * @param listener takes what the server says until this turn is over
   * @param signal ends the call
   * @throws what the request throws
   */
  async turn(listener: Listener, signal: AbortSignal): Promise<Turn> {
    this.#listener = listener;
    const end = () => this.end();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    try {
      const asked = new Promise<void>((resolve) => {
        this.#asked = resolve;
        if (this.#open.size > 0) resolve();
      });
      const result = await Promise.race([this.#answer, asked]);
      if (result !== undefined) return { kind: 'answer', result };
      const questions = Object.fromEntries([...this.#open].map(([key, { request }]) => [key, request]));
      return { kind: 'questions', questions };
    } finally {
      this.#listener = undefined;
      this.#asked = undefined;
      signal.removeEventListener('abort', end);
    }
  }

  /** Hands the client's answers on to the server. @throws ServerError where they are none; nothing is handed on then */
  give(responses: unknown): void {
    const given = isRecord(responses) ? responses : {};
    for (const key of this.#open.keys())
      if (given[key] !== undefined && !isRecord(given[key]))
        throw new ServerError(INVALID_PARAMS, `"inputResponses" must hold an object for ${key}`);
    for (const [key, { id }] of this.#open) {
      const result = given[key];
      if (!isRecord(result)) continue;
      this.#open.delete(key);
      void this.#session?.tell({ jsonrpc: '2.0', id, result });
    }
  }

  /** Takes the request back. */
  end(): void {
    this.#end.abort(new Error('the client is gone'));
  }

  #take(session: HeldSession, message: Json): void {
    this.#session = session;
    const { id, method } = message;
    if (method === 'notifications/progress') this.#progress(message);
    else if (method === 'notifications/cancelled') this.#takeBack(message.params);
    else if (id === undefined) this.#listener?.hear(message);
    else if (method === 'ping') void session.tell({ jsonrpc: '2.0', id, result: {} });
    else if (this.#capabilities[QUESTIONS.get(method) ?? ''] !== undefined) this.#ask(message);
    else
      void session.tell({
        jsonrpc: '2.0',
        id,
        error: { code: METHOD_NOT_FOUND, message: 'this client cannot be asked that' },
      });
  }

  #ask({ id, method, params }: Json): void {
    const { _meta: _, elicitationId: __, ...asked } = isRecord(params) ? params : {};
    const request = {
      method,
      ...(method === 'roots/list' && Object.keys(asked).length === 0 ? {} : { params: asked }),
    };
    this.#open.set(`${method}-${String(id)}`, { id, request });
    this.#asked?.();
  }

  #progress(message: Json): void {
    const token = this.#listener?.progressToken;
    if (token === undefined || !isRecord(message.params)) return;
    this.#listener?.hear({ ...message, params: { ...message.params, progressToken: token } });
  }

  /** The server does not want to know any more. */
  #takeBack(params: unknown): void {
    if (!isRecord(params)) return;
    for (const [key, { id }] of this.#open) if (id === params.requestId) this.#open.delete(key);
  }
}
