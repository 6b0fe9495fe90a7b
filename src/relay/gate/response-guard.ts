import { isRecord } from '../../platform/is-record.ts';
import { isList } from '../policy/visible.ts';
import { writeJson } from '../protocol/json.ts';
import { isSameId, type Json, type MessageId } from '../protocol/json-rpc.ts';
import { repeatsKey } from '../protocol/message-keys.ts';
import { errorOf, type Refusal } from '../refusal.ts';
import type { CallLimit } from './call-limits.ts';
import { ANSWER_ELSEWHERE, answerTooLarge, callTooLong, UNREADABLE } from './denials.ts';
import { readMessages } from './readable-messages.ts';

/** Which answers one stream of a server may bring. */
export type Expected =
  /** That to the request which opened it. */
  | { readonly kind: 'answer'; readonly id: MessageId }
  /** Those to requests whose own streams broke off. */
  | { readonly kind: 'resumed' }
  | { readonly kind: 'none' };

export interface ResponseGuardParts {
  readonly expected: Expected;
  /** Nothing passes that could be read in another way than it is here. */
  readonly strict: boolean;
  /** An answer as the caller may see it; the same object where nothing changed. */
  readonly judge: (answer: Json) => Json;
  /** Of the call that opened the stream. */
  readonly limit: Pick<CallLimit, 'result' | 'duration'> | undefined;
  /** Of a call that is answered on another stream than its own, and milliseconds that it has taken; undefined: none. */
  readonly limitOf: (id: unknown) => { readonly limit: CallLimit; readonly taken: number } | undefined;
  /** Bytes of a message that has to be read. */
  readonly maxMessage: number;
  /** The stream is over. */
  readonly onEnd?: (() => void) | undefined;
  /** A message of the server was left out. */
  readonly onDropped: (why: DropReason) => void;
}

/** Why a message of a server does not reach the client. A closed set: it is logged. */
export type DropReason = 'answer_of_another_request' | 'request_and_answer' | 'unreadable';

/** A message that goes on, and its text. */
export interface Passing {
  readonly value: Json;
  readonly text: string;
}

/** What the server said may not go on to the client. */
export class AnswerRefused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/**
 * What every message of a server passes on its way to a client, whatever transport and stream it comes on: policy, pins and limits,
 * judged by the message itself.
 */
export class ResponseGuard {
  readonly #parts: ResponseGuardParts;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #told = false;

  constructor(parts: ResponseGuardParts) {
    this.#parts = parts;
  }

  get strict(): boolean {
    return this.#parts.strict;
  }

  /** Whether the stream ends with one answer, and is nothing without it. */
  get awaitsAnswer(): boolean {
    return this.#parts.expected.kind === 'answer';
  }

  /** Bytes of the longest message that is read. */
  get maxMessage(): number {
    return Math.max(this.#parts.maxMessage, this.maxBytes ?? 0);
  }

  /** Bytes of the whole stream. */
  get maxBytes(): number | undefined {
    return this.#parts.limit?.result;
  }

  /** Begins to count time. @param late ends the request; called at most once */
  start(late: (refusal: Refusal) => void): void {
    const time = this.#parts.limit?.duration;
    if (time !== undefined) this.#timer ??= setTimeout(() => late(callTooLong(time)), time);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#parts.onEnd?.();
  }

  /** @throws AnswerRefused where the stream is longer than its call may be */
  count(bytes: number): void {
    const { maxBytes } = this;
    this.#bytes += bytes;
    if (maxBytes !== undefined && this.#bytes > maxBytes) throw new AnswerRefused(answerTooLarge(maxBytes));
  }

  /**
   * One message that has been read.
   *
   * @param text as it came, or as the relay would write it
   * @returns undefined where it does not go on
   */
  pass(value: Json, text: string): Passing | undefined {
    if (this.strict && readMessages(text) === undefined) return this.#drop('unreadable');
    const judged = this.#judged(value);
    if (judged === undefined) return undefined;
    const exact = !this.strict || !isList(value) || !repeatsKey(text);
    const asItCame = exact && judged === value;
    return { value: judged, text: asItCame ? text : writeJson(judged) };
  }

  /**
   * The JSON of one event or body, which may be a batch (2025-03-26).
   *
   * @returns what goes on in its place; undefined where nothing does
   * @throws AnswerRefused where the request cannot be answered with this
   */
  passText(text: string): string | undefined {
    const read = readMessages(text, this.strict);
    if (read === undefined) {
      if (!this.strict) return text;
      if (this.awaitsAnswer) throw new AnswerRefused(UNREADABLE);
      return this.#drop('unreadable');
    }
    if (!Array.isArray(read)) return isRecord(read) ? this.pass(read, text)?.text : this.strict ? undefined : text;
    const judged = read.map((message) => (isRecord(message) ? this.#judged(message) : undefined));
    if (!this.strict && judged.every((one, index) => one === read[index])) return text;
    const kept = judged.filter((one) => one !== undefined);
    return kept.length === 0 ? undefined : writeJson(kept);
  }

  /** What a request gets whose answer did not come. */
  get unanswered(): Refusal {
    return ANSWER_ELSEWHERE;
  }

  /** A JSON-RPC error for the request, in a stream that has begun. */
  errorOf(refusal: Refusal): object {
    const { expected } = this.#parts;
    return errorOf(refusal, expected.kind === 'answer' ? expected.id : null);
  }

  #judged(value: Json): Json | undefined {
    const { strict, judge } = this.#parts;
    if (!('result' in value || 'error' in value)) return value;
    if (strict && 'method' in value) return this.#drop('request_and_answer');
    if (strict && !this.#expects(value)) return this.#drop('answer_of_another_request');
    return this.#limited(judge(value));
  }

  /** An error for no request at all tells nothing that is not for everybody. */
  #expects({ id, result }: Json): boolean {
    const { expected } = this.#parts;
    switch (expected.kind) {
      case 'answer':
        return isSameId(id, expected.id) || (result === undefined && (id === null || id === undefined));
      case 'resumed':
        return true;
      case 'none':
        return result === undefined && (id === null || id === undefined);
      default:
        return expected satisfies never;
    }
  }

  /** The limits of a call hold wherever its answer comes. */
  #limited(answer: Json): Json {
    if (this.#parts.expected.kind !== 'resumed') return answer;
    const found = this.#parts.limitOf(answer.id);
    if (found === undefined) return answer;
    const { limit, taken } = found;
    const id = answer.id as MessageId;
    if (limit.duration !== undefined && taken > limit.duration) return errorOf(callTooLong(limit.duration), id) as Json;
    if (limit.result === undefined || Buffer.byteLength(writeJson(answer)) <= limit.result) return answer;
    return errorOf(answerTooLarge(limit.result), id) as Json;
  }

  /** Said once for each stream: a server could fill the log. */
  #drop(why: DropReason): undefined {
    if (!this.#told) this.#parts.onDropped(why);
    this.#told = true;
    return undefined;
  }
}
