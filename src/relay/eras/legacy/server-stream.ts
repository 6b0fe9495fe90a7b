import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { linkSignals, whenAborted } from '../../../platform/abort.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { INTERNAL_ERROR } from '../../protocol/error-codes.ts';
import { NoAnswer, ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { wishes } from '../../protocol/list-changes.ts';
import { toLegacyNotification } from '../../protocol/to-legacy-result.ts';
import type { ModernClient } from '../../upstreams/modern-client.ts';
import type { RetryTimes } from '../../upstreams/resumable-stream.ts';
import type { RequestOptions } from '../../upstreams/upstream-request.ts';
import type { ChangeListener, SessionMemory } from './session-memory.ts';

const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
const LISTS = wishes(() => true);

/**
 * The stream on which a client of sessions hears what changes, by `subscriptions/listen` of a server that has no sessions: begun
 * anew whenever the client subscribes to something else, and if it breaks.
 */
export class ServerStream implements ChangeListener {
  readonly #server: ModernClient;
  readonly #retry: RetryTimes;
  readonly #memory: SessionMemory;
  readonly #options: RequestOptions;
  readonly #ended = new AbortController();
  #current: AbortController | undefined;
  #newest: Promise<ReadonlySet<string>> | undefined;
  #failures = 0;

  constructor(server: ModernClient, retry: RetryTimes, memory: SessionMemory, options: RequestOptions) {
    this.#server = server;
    this.#retry = retry;
    this.#memory = memory;
    this.#options = options;
    options.signal.addEventListener('abort', () => this.end(), { once: true });
  }

  /** Takes the place of the session's last stream. @returns when it has ended @throws as `post` does, before it has begun */
  async run(): Promise<'not_offered' | 'lost'> {
    // A client that has lost the last one opens another; nobody reads two.
    this.#memory.listener?.end();
    this.#memory.listener = this;
    try {
      await this.relisten();
    } catch (error) {
      this.end();
      // A server without such a stream: so says the sessions' era too (2025-11-25, basic/transports).
      if (error instanceof ServerError || (error instanceof NoAnswer && error.status < 500)) return 'not_offered';
      throw error;
    }
    this.#options.onOpen?.();
    await whenAborted(this.#ended.signal);
    return 'lost';
  }

  relisten(): Promise<ReadonlySet<string>> {
    this.#newest = this.#begin();
    return this.#newest;
  }

  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(new Error('the stream has ended'));
    if (this.#memory.listener === this) this.#memory.listener = undefined;
  }

  async #begin(): Promise<ReadonlySet<string>> {
    const before = this.#current;
    const current = new AbortController();
    this.#current = current;
    try {
      return await this.#listen(current);
    } catch (error) {
      // Ended by one that began meanwhile: what that is told counts.
      if (this.#current !== current && this.#newest !== undefined) return this.#newest;
      throw error;
    } finally {
      // Not before the new one has begun, so that nothing is missed between the two.
      before?.abort(new Error('listens to something else now'));
    }
  }

  /** @returns resources of which the server will tell */
  #listen(current: AbortController): Promise<ReadonlySet<string>> {
    const wanted = this.#memory.resources;
    const notifications = { ...LISTS, resourceSubscriptions: wanted };
    const { signal, release } = linkSignals([this.#ended.signal, current.signal]);
    let tells = false;
    return new Promise((resolve, reject) => {
      this.#server
        .request(
          { id: randomUUID(), method: 'subscriptions/listen', params: { notifications } },
          {
            signal,
            onMessage: (message) => {
              if (message.method !== ACKNOWLEDGED) return this.#onMessage(message);
              this.#failures = 0;
              tells = Object.keys(acknowledged(message)).length > 0;
              const told = resourcesOf(acknowledged(message));
              // What was subscribed to while no stream was open counts from when the server has accepted it.
              for (const uri of wanted) if (!told.has(uri)) this.#memory.unsubscribe(uri);
              resolve(told);
            },
          },
        )
        .finally(release)
        .then(
          () => {
            reject(new ServerError(INTERNAL_ERROR, 'the MCP server ended the stream before it had begun'));
            // One that has nothing to tell ends at once. There may be something as soon as the client subscribes.
            if (tells) void this.#again(current);
          },
          (error: unknown) => {
            reject(error);
            void this.#again(current);
          },
        );
    });
  }

  #onMessage(message: Json): void {
    if (message.id === undefined && !this.#ended.signal.aborted) this.#options.onMessage(toLegacyNotification(message));
  }

  /** The server's stream broke off after it had begun. */
  async #again(broken: AbortController): Promise<void> {
    const { first, longest, attempts } = this.#retry;
    this.#failures += 1;
    if (this.#ended.signal.aborted || this.#current !== broken || broken.signal.aborted) return;
    if (this.#failures >= attempts) return this.end();
    await sleep(Math.min(longest, first * 2 ** this.#failures), undefined, { ref: false });
    if (this.#ended.signal.aborted || this.#current !== broken) return;
    await this.relisten().catch(() => {});
  }
}

function acknowledged({ params }: Json): Json {
  return isRecord(params) && isRecord(params.notifications) ? params.notifications : {};
}

function resourcesOf({ resourceSubscriptions: uris }: Json): ReadonlySet<string> {
  return new Set(Array.isArray(uris) ? uris.filter((uri): uri is string => typeof uri === 'string') : []);
}
