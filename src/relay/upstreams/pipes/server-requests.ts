import type { Hold } from '../../gate/budgets/budgets.ts';
import { INVALID_REQUEST, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { errorMessage, type Id, type Json } from '../../protocol/json-rpc.ts';
import type { PipeSession } from './pipe-session.ts';

/** A request of the server, and whom it was put to. */
interface Question {
  readonly session: PipeSession;
  readonly hold: Hold;
}

/** Requests of one server that wait for the answers of clients. */
export class ServerRequests {
  readonly #open = new Map<Id, Question>();
  readonly #send: (answer: Json) => void;

  /** @param send tells the server that a request of it is refused */
  constructor(send: (answer: Json) => void) {
    this.#send = send;
  }

  /** Puts a request to a session. A question that nobody answers must not keep out those after it: of too many the oldest goes. */
  put(id: Id, session: PipeSession, message: Json): void {
    const charge = { questions: 1, keptBytes: Buffer.byteLength(String(id)) };
    let hold = session.budget.take(charge);
    if ('status' in hold) {
      const [oldest] = [...this.#open].find(([, question]) => question.session === session) ?? [];
      if (oldest !== undefined) this.#refuse(oldest, 'the client has not answered this request');
      if (oldest !== undefined) hold = session.budget.take(charge);
    }
    if ('status' in hold)
      return void this.#send(errorMessage(id, SERVER_ERROR, 'too many requests wait for this client'));
    this.take(id);
    this.#open.set(id, { session, hold });
    if (!session.hear(message)) this.#refuse(id, 'no client is connected to answer this request');
  }

  /** Forgets a request. @param from whom an answer comes; absent: the server has withdrawn it @returns whom it was put to */
  take(id: Id, from?: PipeSession): PipeSession | undefined {
    const question = this.#open.get(id);
    if (question === undefined || (from !== undefined && question.session !== from)) return undefined;
    question.hold.release();
    this.#open.delete(id);
    return question.session;
  }

  /** The session has ended. */
  leave(session: PipeSession): void {
    for (const [id, question] of this.#open)
      if (question.session === session) this.#refuse(id, 'the client has ended the session');
  }

  /** The server has gone. */
  end(): void {
    for (const id of this.#open.keys()) this.take(id);
  }

  #refuse(id: Id, why: string): void {
    this.take(id);
    this.#send(errorMessage(id, INVALID_REQUEST, why));
  }
}
