import { isRecord } from '../../platform/is-record.ts';
import { NO_MESSAGE, type Permit } from '../gate/gate.ts';
import type { ServerGate } from '../intake.ts';
import { ServerError } from '../protocol/failures.ts';
import { withPlainNumbers, writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { RefusedError } from '../refusal.ts';
import {
  type ClientRequest,
  type Description,
  descriptionOf,
  type Filter,
  type ListeningEnd,
  type McpServer,
} from '../upstreams/mcp-server.ts';
import type { Outcome } from '../upstreams/response-relay.ts';
import type { OnMessage, RequestOptions } from '../upstreams/upstream-request.ts';
import { refusedError, throughGate } from './admitted-request.ts';
import { type Member, Unreached, type UnreachedReason, unreached } from './member.ts';

/** What became of one request to one server; `seconds` where it was answered. */
export type Report = (outcome: Outcome, seconds: number | undefined, error: unknown) => unknown;

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
  readonly #member: McpServer;
  readonly #gate: ServerGate;
  readonly #report: Report;

  constructor(server: string, member: McpServer, gate: ServerGate, report: Report) {
    this.server = server;
    this.#member = member;
    this.#gate = gate;
    this.#report = report;
  }

  /** What the relay asks for itself counts only where it fails. */
  describe(signal: AbortSignal): Promise<Description> {
    return this.#counted(signal, () => answerOf(this.#member.describe(signal), signal, descriptionOf), undefined);
  }

  async request(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const permit = await this.#gate.authorize({ ...request, params: withPlainNumbers(request.params) });
    if ('status' in permit) {
      this.#report('refused', undefined, undefined);
      throw refusedError(permit);
    }
    const ask = (limited: RequestOptions) =>
      answerOf(this.#member.request(request, limited), limited.signal, (question) => question);
    return this.#counted(options.signal, () => throughGate(permit, request, options, ask), permit);
  }

  async notify(message: Json): Promise<void> {
    const { method } = message;
    const entered = typeof method === 'string' ? { ...NO_MESSAGE, method } : NO_MESSAGE;
    const permit = await this.#gate.authorize(entered);
    if ('status' in permit) return;
    await this.#member.notify(message);
    permit.ended('relayed');
  }

  async mayHear(uri: string): Promise<boolean> {
    const params = { notifications: { resourceSubscriptions: [uri] } };
    const permit = await this.#gate.authorize({ id: 'listen', method: 'subscriptions/listen', params });
    if ('status' in permit) return false;
    permit.ended('relayed');
    return true;
  }

  listen(filter: Filter | undefined, options: RequestOptions): Promise<ListeningEnd> {
    const guard = this.#gate.listening();
    if (guard === undefined) return this.#member.listen(filter, options);
    const onMessage: OnMessage = (message) => {
      const passing = guard.pass(message, writeJson(message));
      if (passing !== undefined) options.onMessage(passing.value);
    };
    return this.#member.listen(filter, { ...options, onMessage });
  }

  ping(signal: AbortSignal): Promise<void> {
    return this.#counted(signal, () => answerOf(this.#member.ping(signal), signal, () => {}), undefined);
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
      if (error instanceof Unreached) ended(OUTCOMES[error.reason], error);
      else if (error instanceof ServerError) ended('relayed');
      else ended(isTimeout(signal) ? 'upstream_timeout' : 'client_gone');
      throw error;
    }
  }
}

/** `AbortSignal.timeout` ended it, the relay's own patience; the client's leaving has another reason. */
function isTimeout({ reason }: AbortSignal): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

/** @throws ServerError, Unreached; the signal's reason if that ended it */
async function answerOf<T>(answer: Promise<T>, signal: AbortSignal, ofQuestion: (result: Json) => T): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    // The relay's own question to a stateless client, in the place of the server's answer.
    if (error instanceof RefusedError && isRecord(error.refusal.result)) return ofQuestion(error.refusal.result);
    if (signal.aborted || error instanceof ServerError) throw error;
    throw unreached(error as Error);
  }
}
