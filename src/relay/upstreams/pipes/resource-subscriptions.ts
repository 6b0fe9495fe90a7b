import type { Hold } from '../../gate/budgets/budgets.ts';
import type { PipeSession } from './pipe-session.ts';

/** Which sessions of one server want to hear of which resource. */
export class ResourceSubscriptions {
  readonly #subscribers = new Map<string, Map<PipeSession, Hold>>();

  /** @returns undefined for none */
  of(uri: unknown): ReadonlyMap<PipeSession, Hold> | undefined {
    return typeof uri === 'string' ? this.#subscribers.get(uri) : undefined;
  }

  /** @param hold released with the subscription */
  add(uri: string, session: PipeSession, hold: Hold): void {
    this.remove(uri, session);
    const sessions = this.#subscribers.get(uri) ?? new Map<PipeSession, Hold>();
    this.#subscribers.set(uri, sessions.set(session, hold));
  }

  /** @returns whether another session still wants to hear of it */
  remove(uri: string, session: PipeSession): boolean {
    const sessions = this.#subscribers.get(uri);
    sessions?.get(session)?.release();
    sessions?.delete(session);
    if (sessions?.size === 0) this.#subscribers.delete(uri);
    return this.#subscribers.has(uri);
  }

  /** All of one session; of all sessions where none is named. */
  end(session?: PipeSession): void {
    for (const [uri, sessions] of this.#subscribers)
      for (const one of session === undefined ? [...sessions.keys()] : [session]) this.remove(uri, one);
  }
}
