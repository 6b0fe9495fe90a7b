import type { WatchConfig } from '../../platform/config/schema.ts';
import type { SecurityEventKind } from '../../platform/config/watch-schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { WatchMetrics } from '../../platform/metrics.ts';
import { createSafeFetch } from '../../platform/safe-fetch.ts';
import type { SecurityEvent } from '../security-event.ts';
import { BACK_OFF, type BackOff, pauseAfter, retryAfter } from './back-off.ts';
import { signedHeaders } from './signature.ts';

export type WebhookConfig = NonNullable<WatchConfig['webhook']>;

export interface WebhookDependencies {
  readonly process: SecurityEvent['process'];
  readonly log: Logger;
  readonly metrics: Pick<WatchMetrics, 'deliveries' | 'waiting'>;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly backOff?: BackOff;
  /** From 0 to 1. */
  readonly random?: () => number;
}

interface Message {
  readonly id: string;
  readonly body: string;
  readonly since: number;
  failures: number;
  due: number;
}

/** Bytes of an answer that are read; nothing in it matters. */
const MAX_ANSWER = 64 * 1024;
/** RFC 9110 §15.5.11: the receiver wants no more of it. */
const GONE = 410;

/** Tells another system of events: one after the other, again where it fails, and in a bounded queue. Nobody waits for it. */
export class Webhook {
  readonly #config: WebhookConfig;
  readonly #kinds: ReadonlySet<SecurityEventKind>;
  readonly #deps: Required<WebhookDependencies>;
  readonly #fetch: ReturnType<typeof createSafeFetch>;
  readonly #waiting = new Set<Message>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(config: WebhookConfig, deps: WebhookDependencies) {
    this.#config = config;
    this.#kinds = new Set(config.kinds);
    this.#deps = { now: Date.now, backOff: BACK_OFF, random: Math.random, ...deps };
    this.#fetch = createSafeFetch({ allowedOrigins: [config.url], timeout: config.timeout, maxBytes: MAX_ANSWER });
  }

  tell(event: SecurityEvent): void {
    if (this.#closed || !this.#kinds.has(event.kind)) return;
    if (this.#waiting.size >= this.#config.maxQueue) {
      this.#drop(event.id, 'too many wait');
      return;
    }
    const now = this.#deps.now();
    const { kind, firstAt } = event;
    const body = JSON.stringify({ type: `security.${kind}`, timestamp: new Date(firstAt).toISOString(), data: event });
    this.#waiting.add({ id: event.id, body, since: now, failures: 0, due: now });
    this.#measure();
    this.#next();
  }

  /** Sends the message that is due first, or waits until one is. */
  #next(): void {
    if (this.#sending !== undefined || this.#closed) return;
    clearTimeout(this.#timer);
    const first = this.#first();
    if (first === undefined) return;
    const pause = first.due - this.#deps.now();
    if (pause > 0) {
      this.#timer = setTimeout(() => this.#next(), pause);
      this.#timer.unref();
      return;
    }
    this.#sending = this.#send(first).finally(() => {
      this.#sending = undefined;
      this.#next();
    });
  }

  #first(): Message | undefined {
    let first: Message | undefined;
    for (const message of this.#waiting) if (first === undefined || message.due < first.due) first = message;
    return first;
  }

  /** One attempt. Never rejects. */
  async #send(message: Message): Promise<void> {
    const { url, secret } = this.#config;
    try {
      const headers = signedHeaders(secret, message.id, this.#deps.now(), message.body);
      const answer = await this.#fetch(url, { method: 'POST', headers, body: message.body });
      if (answer.ok) this.#delivered(message);
      else if (answer.status === GONE) this.#giveUp(message, 'the receiver says that it is gone (410)');
      else
        this.#failed(
          message,
          `status ${answer.status}`,
          retryAfter(answer.headers.get('retry-after'), this.#deps.now()),
        );
    } catch (error) {
      this.#failed(message, error);
    }
    this.#measure();
  }

  #delivered(message: Message): void {
    this.#waiting.delete(message);
    this.#count('delivered', 1);
    if (this.#failing) this.#deps.log.info('the webhook of security events is answered again');
    this.#failing = false;
  }

  /** @param wanted milliseconds that the receiver asks to be left alone */
  #failed(message: Message, why: unknown, wanted = 0): void {
    const { backOff, random, now, log } = this.#deps;
    this.#count('failed', 1);
    if (!this.#failing) log.warn({ error: why }, 'the webhook of security events fails; it is tried again');
    this.#failing = true;
    message.failures += 1;
    const pause = Math.max(pauseAfter(message.failures, backOff, random()), Math.min(wanted, backOff.most));
    message.due = now() + pause;
    if (message.due - message.since > this.#config.deliveryTimeout) this.#giveUp(message, 'it failed for too long');
  }

  #giveUp(message: Message, why: string): void {
    this.#waiting.delete(message);
    this.#drop(message.id, why);
  }

  #drop(eventId: string, reason: string): void {
    this.#count('dropped', 1);
    this.#deps.log.error({ eventId, reason }, 'a security event was not delivered');
  }

  #count(outcome: 'delivered' | 'failed' | 'dropped', count: number): void {
    this.#deps.metrics.deliveries.inc({ process: this.#deps.process, outcome }, count);
  }

  #measure(): void {
    this.#deps.metrics.waiting.set({ process: this.#deps.process }, this.#waiting.size);
  }

  /** Tries what waits once more. @param grace milliseconds, after which the rest is dropped */
  async close(grace: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const late = new Promise<void>((resolve) => setTimeout(resolve, grace).unref());
    await Promise.race([this.#finish(), late]);
    await this.#fetch.close();
    await this.#sending;
    for (const message of this.#waiting) this.#giveUp(message, 'the process ended');
    this.#measure();
  }

  /** Where one fails, the others would as well. */
  async #finish(): Promise<void> {
    await this.#sending;
    for (const message of this.#waiting) {
      this.#sending = this.#send(message);
      await this.#sending;
      if (this.#waiting.has(message)) return;
    }
  }
}
