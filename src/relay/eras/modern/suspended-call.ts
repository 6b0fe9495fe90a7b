import { isRecord } from '../../../platform/is-record.ts';
import type { Charge } from '../../gate/budgets/budget-limits.ts';
import type { Budget, Hold } from '../../gate/budgets/budgets.ts';
import { holdOrThrow } from '../../gate/budgets/hold-or-throw.ts';
import { CLIENT_ABILITIES, refusedResult } from '../../protocol/capabilities.ts';
import { hasUrlMode } from '../../protocol/elicitation.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../../protocol/failures.ts';
import { isSameId, type Json } from '../../protocol/json-rpc.ts';
import { weightOfMessage } from '../../protocol/json-weight.ts';
import type { OnMessage } from '../../upstreams/upstream-request.ts';
import type { PooledSession } from './pooled-session.ts';

/** Of whoever makes a call, for what it keeps while its client is away. */
export interface CallBudget extends Budget {
  /** Ends the oldest other call of theirs that waits, if this has no room for it. @returns false: that would not help */
  makeRoom(charge: Charge): boolean;
}

interface OpenQuestion {
  readonly id: unknown;
  readonly request: Json;
  readonly hold: Hold;
  /** The client has come back without an answer to it. */
  isLeftOut: boolean;
}

/** As the specification has it (2025-11-25, client/sampling). */
const REJECTED = { code: -1, message: 'User rejected the request' };

/** Milliseconds for further questions of a server that asks several things at once. */
const GATHER = 20;

/** What comes of a call until its client has to do something. */
export type Turn =
  | { readonly kind: 'answer'; readonly result: Json }
  | { readonly kind: 'questions'; readonly questions: Readonly<Record<string, Json>> };

/** What the client of one turn takes: progress goes by the token of its own request. */
export interface Listener {
  readonly onMessage: OnMessage;
  readonly progressToken: unknown;
}

/**
 * One request in a held session. It goes on at the server while the client is asked something, which for the client are
 * several requests (2026-07-28, multi round-trip requests).
 */
export class SuspendedCall {
  readonly #capabilities: Json;
  readonly #end = new AbortController();
  readonly #answer: Promise<Json>;
  readonly #open = new Map<string, OpenQuestion>();
  readonly #budget: CallBudget;
  /** Of an answer that came while its client was away. */
  #kept: Hold | undefined;
  #session: PooledSession | undefined;
  #listener: Listener | undefined;
  #asked: (() => void) | undefined;

  /**
   * @param capabilities what the client can be asked; none where the answer to this request cannot be a question
   * @param budget of what the call keeps while its client is away
   * @param start sends the request; all that it says until its answer must come to `take`
   */
  constructor(
    capabilities: Json,
    budget: CallBudget,
    start: (call: { take: (from: PooledSession, message: Json) => void; signal: AbortSignal }) => Promise<Json>,
  ) {
    this.#capabilities = capabilities;
    this.#budget = budget;
    this.#answer = start({ take: (from, message) => this.#take(from, message), signal: this.#end.signal })
      .then((result) => this.#keep(result))
      .finally(() => this.#forgetQuestions());
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
    const end = () => this.end(Cancelled.by(signal.reason));
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    try {
      const asked = new Promise<void>((resolve) => {
        this.#asked = () => setTimeout(resolve, GATHER).unref();
        if (this.#open.size > 0) resolve();
      });
      const result = await Promise.race([this.#answer, asked]);
      if (result !== undefined) {
        this.#kept?.release();
        return { kind: 'answer', result };
      }
      const questions = Object.fromEntries([...this.#open].map(([key, { request }]) => [key, request]));
      return { kind: 'questions', questions };
    } finally {
      this.#listener = undefined;
      this.#asked = undefined;
      signal.removeEventListener('abort', end);
    }
  }

  /**
   * Hands the client's answers on to the server. What the client leaves out it is asked once more (2026-07-28, basic/patterns/mrtr),
   * and then has refused.
   *
   * @throws ServerError where they are none; nothing is handed on then
   */
  give(responses: unknown): void {
    const given = isRecord(responses) ? responses : {};
    for (const key of this.#open.keys())
      if (given[key] !== undefined && !isRecord(given[key]))
        throw new ServerError(INVALID_PARAMS, `"inputResponses" must hold an object for ${key}`);
    for (const [key, question] of [...this.#open]) {
      const { id, request, isLeftOut } = question;
      const result = given[key] ?? (isLeftOut ? refusedResult(request.method) : undefined);
      question.isLeftOut = isRecord(responses);
      if (result === undefined && !isLeftOut) continue;
      this.#forgetQuestion(key);
      void this.#session?.notify({ jsonrpc: '2.0', id, ...(result === undefined ? { error: REJECTED } : { result }) });
    }
  }

  /** Takes the request back. */
  end(why: Error = new Error('the client is gone')): void {
    this.#kept?.release();
    this.#forgetQuestions();
    this.#end.abort(why);
  }

  /** @throws ServerError where its client is away and there is no room for it */
  #keep(result: Json): Json {
    const away = this.#asked === undefined && !this.#end.signal.aborted;
    if (away) this.#kept = holdOrThrow(this.#budget, { messages: 1, keptBytes: weightOfMessage(result) });
    return result;
  }

  #forgetQuestion(key: string): void {
    this.#open.get(key)?.hold.release();
    this.#open.delete(key);
  }

  #forgetQuestions(): void {
    for (const key of [...this.#open.keys()]) this.#forgetQuestion(key);
  }

  #take(session: PooledSession, message: Json): void {
    if (this.#end.signal.aborted) return;
    this.#session = session;
    const { id, method } = message;
    if (method === 'notifications/progress') this.#progress(message);
    else if (method === 'notifications/cancelled') this.#takeBack(message.params);
    else if (id === undefined) this.#listener?.onMessage(message);
    else if (method === 'ping') void session.notify({ jsonrpc: '2.0', id, result: {} });
    else if (this.#mayAsk(message)) this.#ask(message);
    else
      void session.notify({
        jsonrpc: '2.0',
        id,
        error: { code: METHOD_NOT_FOUND, message: 'this client cannot be asked that' },
      });
  }

  #mayAsk({ method, params }: Json): boolean {
    if (this.#capabilities[CLIENT_ABILITIES.get(method) ?? ''] === undefined) return false;
    return !isRecord(params) || params.mode !== 'url' || hasUrlMode(this.#capabilities);
  }

  #ask({ id, method, params }: Json): void {
    const { _meta: _, elicitationId: __, ...asked } = isRecord(params) ? params : {};
    const request = {
      method,
      ...(method === 'roots/list' && Object.keys(asked).length === 0 ? {} : { params: asked }),
    };
    this.#forgetQuestionOf(id);
    let key = `${method}-${String(id)}`;
    while (this.#open.has(key)) key += "'";
    const charge = { questions: 1, keptBytes: weightOfMessage(request) };
    let hold = this.#budget.take(charge);
    // A person who dismisses questions never comes back to them: that must not keep out those after them.
    while ('status' in hold && this.#budget.makeRoom(charge)) hold = this.#budget.take(charge);
    // More than any client is asked: the call is taken back, or its server would go on and on.
    if ('status' in hold) return void this.end(new ServerError(SERVER_ERROR, hold.message, hold.data));
    this.#open.set(key, { id, request, isLeftOut: false, hold });
    this.#asked?.();
  }

  #progress(message: Json): void {
    const token = this.#listener?.progressToken;
    if (token === undefined || !isRecord(message.params)) return;
    this.#listener?.onMessage({ ...message, params: { ...message.params, progressToken: token } });
  }

  /** The server does not want to know any more. */
  #takeBack(params: unknown): void {
    if (isRecord(params)) this.#forgetQuestionOf(params.requestId);
  }

  /** @param of the server's own id: `1` and `"1"` are two, `1` and `1.0` are one */
  #forgetQuestionOf(of: unknown): void {
    for (const [key, { id }] of this.#open) if (isSameId(id, of)) this.#forgetQuestion(key);
  }
}
