import type { Session, Sessions } from './session.ts';

/** Sessions that are read together. */
const PAGE = 500;

/** All live sessions, a page in memory at a time. One that is used meanwhile may come twice. */
export async function* allSessions(sessions: Pick<Sessions, 'page'>): AsyncGenerator<Session> {
  let next: string | undefined;
  do {
    const page = await sessions.page(next, PAGE);
    yield* page.sessions;
    next = page.next;
  } while (next !== undefined);
}
