import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Logger } from '../../platform/log.ts';
import type { Fields } from '../credentials/credential.ts';
import { EndableHandler } from './passing-handler.ts';
import { withoutSecrets } from './without-secrets.ts';

/** Bytes of a refusal that are read for its reason. */
const MAX_BODY = 4 * 1024;
/** Milliseconds for them to come. */
const TIMEOUT = 1_000;
/** Characters of a reason in the log. */
const MAX_REASON = 500;
/** Milliseconds in which the same status of the same server is logged once. */
const QUIET = 60_000;
/** Characters of a header value below which it is no secret that could be told from a word. */
const MIN_SECRET = 8;

/** What a server says of a request that it refuses by its status. */
export interface ServerRefusal {
  readonly status: number;
  /** Without what the relay sent to prove itself; empty where the server gives none. */
  readonly reason: string;
}

export type OnServerRefusal = (refusal: ServerRefusal) => void;

/** Whether a status says that the server does not take who asks (RFC 9110 §15.5.2, §15.5.4). */
export function isRefusing(status: number): boolean {
  return status === 401 || status === 403;
}

/** Writes refusals to the log, where an operator looks for what a client is not told. */
export function logServerRefusals(server: string, log: Logger, now: () => number): OnServerRefusal {
  const quietUntil = new Map<number, number>();
  return ({ status, reason }) => {
    if (now() < (quietUntil.get(status) ?? 0)) return;
    quietUntil.set(status, now() + QUIET);
    log.info({ server, status, text: reason }, 'an MCP server refused a request of the relay');
  };
}

/**
 * The challenge (RFC 6750 §3) and the text of a refusal, in one line.
 *
 * @param sent names and values in turn of what the relay added, of which no value may come back into the log
 */
export function refusalReason(challenge: string | string[] | undefined, body: string, sent: Fields): string {
  const secrets = secretsOf(sent);
  const parts = [[challenge ?? []].flat().join(', '), spokenOf(body, secrets)];
  const reason = withoutSecrets(parts.filter((part) => part !== '').join('; '), secrets);
  return reason.replace(/\s+/g, ' ').trim().slice(0, MAX_REASON);
}

/** Reads the reason of a response that nobody else reads, and ends it. */
export function readRefusal(
  status: number,
  headers: IncomingHttpHeaders,
  body: Readable,
  sent: Fields,
): Promise<ServerRefusal> {
  return new Promise((resolve) => {
    const start = new BodyStart();
    const done = () => {
      clearTimeout(late);
      resolve({ status, reason: refusalReason(headers['www-authenticate'], start.text, sent) });
      body.destroy();
    };
    const late = setTimeout(done, TIMEOUT);
    body.on('error', done);
    body.once('end', done);
    body.on('data', (chunk: Buffer) => {
      if (start.push(chunk)) done();
    });
  });
}

/** The first bytes of a body. */
class BodyStart {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  /** @returns whether it is enough */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk.subarray(0, MAX_BODY - this.#size));
    this.#size = Math.min(MAX_BODY, this.#size + chunk.length);
    return this.#size === MAX_BODY;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}

/**
 * Passes a response on. Where it is a refusal, the beginning of its body is read as well if the taker ends it at its head: the
 * connection ends a moment later.
 */
export class RefusalReader extends EndableHandler {
  readonly #sent: Fields;
  readonly #report: OnServerRefusal;
  #start: BodyStart | undefined;
  #finish: () => void = () => {};

  constructor(inner: Dispatcher.DispatchHandler, sent: Fields, report: OnServerRefusal) {
    super(inner);
    this.#sent = sent;
    this.#report = report;
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    if (!isRefusing(status)) return void super.onResponseStart(controller, status, headers, text);
    const start = new BodyStart();
    const late = setTimeout(() => this.#finish(), TIMEOUT);
    this.#start = start;
    this.#finish = () => {
      this.#finish = () => {};
      this.#start = undefined;
      clearTimeout(late);
      this.#report({ status, reason: refusalReason(headers['www-authenticate'], start.text, this.#sent) });
      if (this.over) controller.abort(new Error('the rest of a refusal is not wanted'));
    };
    super.onResponseStart(this.#patient(controller), status, headers, text);
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    super.onResponseData(controller, chunk);
    if (this.#start?.push(chunk) === true) this.#finish();
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#finish();
    super.onResponseEnd(controller, trailers);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish();
    super.onResponseError(controller, error);
  }

  /** Ends the connection for its taker at once, and in truth when the reason has been read. */
  #patient(controller: Dispatcher.DispatchController): Dispatcher.DispatchController {
    return {
      get aborted() {
        return controller.aborted;
      },
      get paused() {
        return controller.paused;
      },
      get reason() {
        return controller.reason;
      },
      pause: () => controller.pause(),
      resume: () => controller.resume(),
      abort: (reason) => {
        this.over = true;
        if (this.#start === undefined) controller.abort(reason);
      },
    };
  }
}

/** What a body says in words: of JSON the member that is a text for people, of a page its text. */
function spokenOf(body: string, secrets: readonly string[]): string {
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) ? wordsOf(value) : body;
  } catch {
    // Before the markup goes, which may be part of a secret.
    return withoutSecrets(body, secrets, Buffer.byteLength(body) >= MAX_BODY).replace(/<[^<>]*>/g, ' ');
  }
}

/** OAuth errors (RFC 6749 §5.2), JSON-RPC errors, problem details (RFC 9457), and what frameworks answer. */
function wordsOf(value: Readonly<Record<string, unknown>>): string {
  const words: string[] = [];
  for (const name of ['error', 'error_description', 'message', 'title', 'detail', 'code']) {
    const found = value[name];
    if (typeof found === 'string' || typeof found === 'number') words.push(String(found));
    else if (isRecord(found)) words.push(wordsOf(found));
  }
  return words.join(': ');
}

/** Each value, and of `Bearer …` or `Basic …` what stands behind the scheme, or in it. */
function secretsOf(sent: Fields): string[] {
  const values = sent.filter((_text, index) => index % 2 === 1);
  const behind = values.flatMap((value) => {
    const [scheme = '', ...rest] = value.split(' ');
    if (rest.length === 0) return [];
    const credential = rest.join(' ');
    if (scheme.toLowerCase() !== 'basic') return [credential];
    const pair = Buffer.from(credential, 'base64').toString();
    return [credential, pair, pair.slice(pair.indexOf(':') + 1)];
  });
  return [...values, ...behind].filter((value) => value.length >= MIN_SECRET).sort((a, b) => b.length - a.length);
}
