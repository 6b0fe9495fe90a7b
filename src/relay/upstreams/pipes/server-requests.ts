import type { Hold } from '../../gate/budgets/budgets.ts';
import { INVALID_REQUEST, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { errorMessage, type Id, idKey, isSameId, type Json } from '../../protocol/json-rpc.ts';
import { progressTokenOf } from '../../protocol/meta.ts';
import type { PipeSession } from './pipe-session.ts';

/** A request of the server, and whom it was put to. */
interface Question {
  /** The server's own id, in the form that it gave. */
  readonly id: Id;
  readonly session: PipeSession;
  /** By which the client may tell how far it is; undefined: the server does not want to know. */
  readonly token: unknown;
  readonly hold: Hold;
}

/** Requests of one server that wait for the answers of clients. */
export class ServerRequests {
  /** By `idKey`, the oldest first. */
  readonly #open = new Map<unknown, Question>();
  readonly #send: (answer: Json) => void;

  /** @param send tells the server that a request of it is refused */
  constructor(send: (answer: Json) => void) {
    this.#send = send;
  }

  /** Puts a request to a session. A question that nobody answers must not keep out those after it: of too many the oldest goes. */
  put(id: Id, session: PipeSession, message: Json): void {
    const token = progressTokenOf(message.params);
    const kept = String(id) + String(token ?? '');
    const charge = { questions: 1, keptBytes: Buffer.byteLength(kept) };
    let hold = session.budget.take(charge);
    if ('status' in hold) {
      const oldest = [...this.#open.values()].find((question) => question.session === session);
      if (oldest !== undefined) this.#refuse(oldest.id, 'the client has not answered this request');
      if (oldest !== undefined) hold = session.budget.take(charge);
    }
    if ('status' in hold)
      return void this.#send(errorMessage(id, SERVER_ERROR, 'too many requests wait for this client'));
    this.take(id);
    this.#open.set(idKey(id), { id, session, token, hold });
    if (!session.hear(message)) this.#refuse(id, 'no client is connected to answer this request');
  }

  /** Forgets a request. @param from whom an answer comes; absent: the server has withdrawn it @returns whom it was put to */
  take(id: Id, from?: PipeSession): PipeSession | undefined {
    const key = idKey(id);
    const question = this.#open.get(key);
    if (question === undefined || (from !== undefined && question.session !== from)) return undefined;
    question.hold.release();
    this.#open.delete(key);
    return question.session;
  }

  /** Whether a request that was put to this session, and waits, has this progress token. */
  hasToken(token: unknown, session: PipeSession): boolean {
    for (const question of this.#open.values())
      if (question.session === session && isSameId(question.token, token)) return true;
    return false;
  }

  /** The session has ended. */
  leave(session: PipeSession): void {
    for (const question of this.#open.values())
      if (question.session === session) this.#refuse(question.id, 'the client has ended the session');
  }

  /** The server has gone. */
  end(): void {
    for (const { id } of this.#open.values()) this.take(id);
  }

  #refuse(id: Id, why: string): void {
    this.take(id);
    this.#send(errorMessage(id, INVALID_REQUEST, why));
  }
}
