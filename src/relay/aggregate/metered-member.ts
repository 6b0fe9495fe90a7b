import { NO_MESSAGE, type Permit } from '../gate/gate.ts';
import type { ServerGate } from '../intake.ts';
import { ServerError } from '../protocol/failures.ts';
import { withPlainNumbers } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { RefusedError } from '../refusal.ts';
import type { Hear } from '../upstreams/post-message.ts';
import type { Outcome } from '../upstreams/response-relay.ts';
import { refusedError, throughGate } from './admitted-request.ts';
import type { Description } from './capabilities.ts';
import { type Filter, type Member, type ServerRequest, Unreached, type UnreachedReason } from './member.ts';

/** What became of one request to one server; `seconds` where it was answered. */
export type Report = (outcome: Outcome, seconds: number | undefined, error: unknown) => void;

const OUTCOMES: Readonly<Record<UnreachedReason, Outcome>> = {
  timeout: 'upstream_timeout',
  unreachable: 'upstream_unreachable',
  refused: 'upstream_refused',
  answer_too_large: 'upstream_cut',
  failed: 'upstream_cut',
};

/** Judges and counts what one server is asked, as it is where the server is asked alone. */
export class MeteredMember implements Member {
  readonly server: string;
  readonly #member: Member;
  readonly #gate: ServerGate;
  readonly #report: Report;

  constructor(member: Member, gate: ServerGate, report: Report) {
    this.server = member.server;
    this.#member = member;
    this.#gate = gate;
    this.#report = report;
  }

  /** What the relay asks for itself counts only where it fails. */
  describe(signal: AbortSignal): Promise<Description> {
    return this.#counted(signal, () => this.#member.describe(signal), undefined);
  }

  async request(request: ServerRequest, signal: AbortSignal, hear: Hear): Promise<Json> {
    const permit = await this.#gate.authorize({ ...request, params: withPlainNumbers(request.params) });
    if ('status' in permit) {
      this.#report('refused', undefined, undefined);
      throw refusedError(permit);
    }
    return this.#counted(
      signal,
      () =>
        throughGate(permit, request, signal, hear, (limited, heard) => this.#member.request(request, limited, heard)),
      permit,
    );
  }

  async tell(message: Json): Promise<void> {
    const { method } = message;
    const entered = typeof method === 'string' ? { ...NO_MESSAGE, method } : NO_MESSAGE;
    const permit = await this.#gate.authorize(entered);
    if ('status' in permit) return;
    await this.#member.tell(message);
    permit.ended('relayed');
  }

  async mayHear(uri: string): Promise<boolean> {
    const params = { notifications: { resourceSubscriptions: [uri] } };
    const permit = await this.#gate.authorize({ id: 'listen', method: 'subscriptions/listen', params });
    if ('status' in permit) return false;
    permit.ended('relayed');
    return true;
  }

  listen(filter: Filter | undefined, hear: Hear, signal: AbortSignal): Promise<'not_offered' | 'lost'> {
    const guard = this.#gate.listening();
    if (guard === undefined) return this.#member.listen(filter, hear, signal);
    const heard: Hear = (message) => {
      const passing = guard.pass(message);
      if (passing !== undefined) hear(passing.value);
    };
    return this.#member.listen(filter, heard, signal);
  }

  isThere(signal: AbortSignal): Promise<boolean> {
    return this.#counted(signal, () => this.#member.isThere(signal), undefined);
  }

  close(): Promise<void> {
    return this.#member.close();
  }

  async #counted<T>(signal: AbortSignal, ask: () => Promise<T>, permit: Permit | undefined): Promise<T> {
    const startedAt = performance.now();
    const ended = (outcome: Outcome, error?: unknown) => {
      const answered = outcome === 'relayed' ? (performance.now() - startedAt) / 1000 : undefined;
      if (answered === undefined || permit !== undefined) this.#report(outcome, answered, error);
      permit?.ended(outcome);
    };
    try {
      const answer = await ask();
      ended('relayed');
      return answer;
    } catch (error) {
      if (error instanceof RefusedError) {
        ended('answer_refused');
        throw refusedError(error.refusal);
      }
      if (error instanceof ServerError) ended('relayed');
      else if (error instanceof Unreached) ended(OUTCOMES[error.reason], error);
      else ended(isTimeout(signal) ? 'upstream_timeout' : 'client_gone');
      throw error;
    }
  }
}

/** `AbortSignal.timeout` ended it, the relay's own patience; the client's leaving has another reason. */
function isTimeout({ reason }: AbortSignal): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}
