import type { ServerResponse } from 'node:http';
import { NotAdmitted } from '../access/operator.ts';
import type { RecentActivity } from '../recent-activity.ts';

export interface StreamLimits {
  readonly streams: number;
  /** Milliseconds between two comments that keep proxies from cutting a silent stream. */
  readonly keepAlive: number;
  /** Milliseconds until the browser must come again, and sign in again. */
  readonly lifetime: number;
}

/** Milliseconds in which a client may read the end of its stream. */
const LAST_WORDS = 1_000;

const LIMITS: StreamLimits = { streams: 32, keepAlive: 20_000, lifetime: 300_000 };

/** Tells browsers of what happens as it happens, by server-sent events (HTML §9.2). */
export class LiveStreams {
  readonly #activity: RecentActivity;
  readonly #limits: StreamLimits;
  /** Each with what ends it. */
  readonly #open = new Map<ServerResponse, () => void>();

  constructor(activity: RecentActivity, limits: StreamLimits = LIMITS) {
    this.#activity = activity;
    this.#limits = limits;
  }

  /** @throws NotAdmitted where too many are open */
  begin(response: ServerResponse): void {
    const { streams, keepAlive, lifetime } = this.#limits;
    if (this.#open.size >= streams)
      throw new NotAdmitted(429, 'too_many_streams', 'too many live views are open: close some', {
        'Retry-After': '30',
      });
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      // nginx would otherwise keep it back.
      'X-Accel-Buffering': 'no',
    });
    response.write('retry: 3000\n\n');
    // Whoever does not read loses entries, and costs no memory.
    const say = (text: string) => response.writableNeedDrain || response.write(text);
    const unfollow = this.#activity.follow((entry) => say(`id: ${entry.id}\ndata: ${JSON.stringify(entry)}\n\n`));
    const alive = setInterval(() => say(': still here\n\n'), keepAlive);
    let over: NodeJS.Timeout;
    const silence = () => {
      unfollow();
      clearInterval(alive);
      clearTimeout(over);
    };
    // What is written after the end would be an error that nobody catches, and whoever does not read never sees the end.
    const end = () => {
      silence();
      response.end();
      over = setTimeout(() => response.destroy(), LAST_WORDS);
    };
    over = setTimeout(end, lifetime);
    this.#open.set(response, end);
    response.once('close', () => {
      silence();
      this.#open.delete(response);
    });
  }

  close(): void {
    for (const end of this.#open.values()) end();
  }
}
