import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { PubSub } from '../stores.ts';
import type { Topics } from '../topics.ts';
import type { RedisTarget } from './connection-options.ts';
import type { RedisLink } from './link.ts';
import { PublishRetryQueue } from './publish-retry-queue.ts';
import { Subscription } from './subscription.ts';

const HEARTBEAT = 300;
/** Milliseconds of a heartbeat's round trip that are allowed for; one that takes longer comes too late. */
const LONGEST_ROUND_TRIP = 1_000;
/**
 * Through a script, because that has a key: a cluster sends a plain PUBLISH to any of its nodes, and what goes through two
 * nodes can arrive in another order.
 */
const PUBLISH = "return redis.call('PUBLISH', ARGV[1], ARGV[2])";
/** Deaf for so many beats means a connection that only looks alive. */
const BEATS_UNTIL_RENEWAL = 10;

/**
 * Announcements over publish/subscribe. Redis keeps none for later, so hearing is watched: a heartbeat goes out over the
 * connection for commands and must come back over the one that listens. Messages come in order, so one that was sent
 * before a heartbeat which was heard was heard too.
 */
export class RedisPubSub implements PubSub {
  readonly #link: RedisLink;
  readonly #topics: Topics;
  readonly #publishOne: ReturnType<RedisLink['script']>;
  readonly #channel: string;
  readonly #pulse: string;
  readonly #beat: number;
  readonly #subscription: Subscription;
  readonly #timers: NodeJS.Timeout[];
  readonly #unsaid = new PublishRetryQueue((text) => this.#say('publish', this.#channel, text));
  /** When the newest heartbeat that came back was sent, on the clock that nobody sets. */
  #heard = Number.NEGATIVE_INFINITY;
  /** Milliseconds that it was under way. */
  #roundTrip = 0;
  #was = false;
  #deafSince = performance.now();

  constructor(link: RedisLink, target: RedisTarget, prefix: string, topics: Topics, heartbeat = HEARTBEAT) {
    this.#link = link;
    this.#topics = topics;
    this.#publishOne = link.script('posternPublish', 1, PUBLISH);
    this.#beat = heartbeat;
    this.#channel = `${prefix}announcements`;
    this.#pulse = `${prefix}heartbeat:${randomBytes(9).toString('base64url')}`;
    this.#subscription = new Subscription(target, link.client, [this.#channel, this.#pulse], {
      message: (channel, message) => this.#receive(channel, message),
      lost: () => {
        this.#heard = Number.NEGATIVE_INFINITY;
        this.#watch();
      },
    });
    this.#timers = [setInterval(() => this.#send(), heartbeat), setInterval(() => this.#watch(), heartbeat / 3)];
    for (const timer of this.#timers) timer.unref();
    this.#send();
  }

  get complete(): boolean {
    // From a far Redis every heartbeat comes late: three may fail, and the one that is under way is waited for.
    return performance.now() - this.#heard < this.#beat * 3 + Math.min(this.#roundTrip, LONGEST_ROUND_TRIP);
  }

  async publish(topic: string, message: string): Promise<void> {
    const text = JSON.stringify([topic, message]);
    try {
      await this.#say('publish', this.#channel, text);
    } catch (error) {
      this.#unsaid.add(text);
      throw error;
    }
  }

  subscribe(topic: string, listener: (message: string) => void): () => void {
    return this.#topics.subscribe(topic, listener);
  }

  onGap(listener: () => void): () => void {
    return this.#topics.onGap(listener);
  }

  /** Resolves once complete, or after so many milliseconds. */
  async settled(atMost: number): Promise<void> {
    const end = performance.now() + atMost;
    while (!this.complete && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.#send();
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#unsaid.close();
    this.#subscription.close();
    this.#heard = Number.NEGATIVE_INFINITY;
    this.#topics.clear();
  }

  #send(): void {
    const sentAt = String(performance.now());
    this.#say('heartbeat', this.#pulse, sentAt).catch(() => {});
  }

  /** One key for both channels, so that a heartbeat takes the way of the messages that it stands for. */
  #say(operation: string, channel: string, text: string): Promise<unknown> {
    return this.#link.run(operation, () => this.#publishOne(this.#channel, channel, text));
  }

  #receive(channel: string, message: string): void {
    if (channel === this.#pulse) {
      // Whoever stood still for a while finds old heartbeats first: the gap is told before anything counts as complete again.
      this.#watch();
      this.#hear(Number(message));
      this.#watch();
      return;
    }
    const parsed = parse(message);
    if (parsed !== undefined) this.#topics.deliver(...parsed);
  }

  #hear(sentAt: number): void {
    this.#roundTrip = performance.now() - sentAt;
    this.#heard = Math.max(this.#heard, sentAt);
  }

  /** Tells of each change: what was cached before it may be wrong. */
  #watch(): void {
    const { complete } = this;
    const now = performance.now();
    if (complete) this.#deafSince = now;
    else if (now - this.#deafSince > this.#beat * BEATS_UNTIL_RENEWAL) {
      this.#deafSince = now;
      this.#subscription.renew();
    }
    if (complete === this.#was) return;
    this.#was = complete;
    this.#topics.gap();
  }
}

function parse(message: string): [string, string] | undefined {
  try {
    const value: unknown = JSON.parse(message);
    if (Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string'))
      return value as [string, string];
  } catch {
    // Another program publishes here: not for us.
  }
  return undefined;
}
