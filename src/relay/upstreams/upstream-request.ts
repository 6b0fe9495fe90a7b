import { ownerKey } from '../../identity/identity.ts';
import type { Outgoing } from '../credentials/credential.ts';
import type { Budget } from '../gate/budgets/budgets.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import type { Flow } from './flow.ts';
import type { SendRequest } from './post-message.ts';
import type { RetryTimes } from './resumable-stream.ts';
import type { HttpServer } from './upstream.ts';

/** Takes what a server sends before its answer: notifications, and requests to the client. `text`: as it came. */
export type OnMessage = (message: Json, text?: string) => void;

export const ignoreMessage: OnMessage = () => {};

/** How the relay's own requests reach one server. */
export interface UpstreamLink {
  readonly upstream: Pick<HttpServer, 'dispatch'>;
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
  /** What is read for somebody counts in theirs. */
  readonly budgetOf: (caller: Caller | undefined) => Budget;
}

/** On whose behalf a request is. */
export interface RequestContext {
  readonly caller: Caller | undefined;
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
  /** Of the client's request, what says nothing of its era; names and values in turn. */
  readonly kept?: readonly string[] | undefined;
  /** The revision that was negotiated for the session. */
  readonly version?: string | undefined;
  /** The message as it came, for a server that gets it unchanged. */
  readonly bytes?: Buffer | undefined;
  /** Absent: whoever takes what is read takes all of it. */
  readonly flow?: Flow | undefined;
}

/** One request of it. */
export interface RequestOptions extends Partial<RequestContext> {
  readonly signal: AbortSignal;
  readonly onMessage: OnMessage;
  /** Of a session that another replica may hold: called when that replica has it. */
  readonly onUnderWay?: (() => void) | undefined;
  /** Of a stream: called when it is open. */
  readonly onOpen?: (() => void) | undefined;
  /** Called at once with the answer, before anything that comes after it. */
  readonly onAnswer?: ((message: Json, text?: string) => void) | undefined;
}

/** Of a request that goes on in another form: what came as it is belongs to the first form alone. */
export function translated({ bytes: _, onAnswer: __, ...options }: RequestOptions): RequestOptions {
  return options;
}

const POST_FIELDS = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'];
const KEPT: ReadonlySet<string> = new Set(['traceparent', 'tracestate', 'user-agent', 'x-request-id']);

/** @param era in whose form the messages are */
export function sendTo({ upstream }: UpstreamLink, era: Era, { caller, elicitsUrls }: RequestContext): SendRequest {
  return (method, headers, body, handler) =>
    upstream.dispatch({ method, era, headers, body, caller, elicitsUrls }, handler);
}

/** @param fields beside those that every POST has; names and values in turn */
export function postHeaders({ kept = [] }: Partial<RequestContext>, fields: readonly string[]): string[] {
  return [...POST_FIELDS, ...kept, ...fields];
}

/** To whom what is held belongs: one identity, or where there is none the relay itself. */
export function ownerOf(caller: Caller | undefined): string {
  return caller === undefined ? '' : ownerKey(caller.identity);
}

/** @param headers of the client's request @returns those that go with each request that comes of it */
export function keptHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    if (KEPT.has(name.toLowerCase())) kept.push(name, headers[index + 1] as string);
  }
  return kept;
}

/** @param name in lower case @returns undefined where there is none */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === name) return headers[index + 1];
  return undefined;
}
