import type { ClientFacts } from '../protocol/client-facts.ts';
import { ServerError, SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import {
  CLOSE_GRACE,
  endSession,
  type SendInSession,
  sessionHeaders,
  sessionStream,
} from '../upstreams/legacy-session.ts';
import type { Hear } from '../upstreams/post-message.ts';
import type { StreamEnd } from '../upstreams/resumable-stream.ts';
import type { Description } from './capabilities.ts';
import { Cancelled, type Filter, type Member, type ServerRequest, type SessionSlot, Unreached } from './member.ts';
import { descriptionOf, fromText, type Opened, toText } from './opened.ts';
import { ask, dispatchTo, NOBODY, type ServerLink } from './server-link.ts';

/** One server, asked for a client of the sessions' era, whose session with it is part of the client's own. */
export class SessionMember implements Member {
  readonly server: string;
  readonly #client: ClientFacts;
  readonly #slot: SessionSlot;
  readonly #link: ServerLink;
  #description: Description | undefined;

  constructor(server: string, client: ClientFacts, slot: SessionSlot, link: ServerLink) {
    this.server = server;
    this.#client = client;
    this.#slot = slot;
    this.#link = link;
  }

  async describe(signal: AbortSignal): Promise<Description> {
    const { capabilities } = await this.#open(signal);
    return this.#description ?? { capabilities, instructions: undefined };
  }

  async request(request: ServerRequest, signal: AbortSignal, hear: Hear): Promise<Json> {
    const opened = await this.#open(signal);
    try {
      return await this.#request(opened, request, signal, hear);
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      // Another request may have opened a new one meanwhile.
      if (this.#slot.session === toText(opened)) this.#slot.session = undefined;
    }
    const again = await this.#open(signal);
    return this.#request(again, request, signal, hear).catch((error: unknown) => {
      throw error instanceof SessionLost ? new Unreached('failed', error.message, error) : error;
    });
  }

  async tell(message: Json): Promise<void> {
    const opened = this.#opened();
    if (opened === undefined) return;
    await ask(this.#link, message, sessionHeaders(opened), AbortSignal.timeout(CLOSE_GRACE), NOBODY).catch(() => {});
  }

  /** Which server it is says nothing of that. */
  async mayHear(): Promise<boolean> {
    return true;
  }

  async listen(_filter: Filter | undefined, hear: Hear, signal: AbortSignal): Promise<'not_offered' | 'lost'> {
    try {
      return await this.#listen(await this.#open(signal), hear, signal);
    } catch {
      return 'lost';
    }
  }

  async isThere(signal: AbortSignal): Promise<boolean> {
    if (this.#opened() === undefined) await this.#open(signal);
    else await this.request({ id: 'ping', method: 'ping', params: {} }, signal, NOBODY);
    return true;
  }

  async close(): Promise<void> {
    const opened = this.#opened();
    if (opened?.id === undefined) return;
    await endSession(this.#send, sessionHeaders(opened), this.#link.limit);
  }

  readonly #send: SendInSession = (...request) => dispatchTo(this.#link, ...request);

  #opened(): Opened | undefined {
    return this.#slot.session === undefined ? undefined : fromText(this.#slot.session);
  }

  /** One opens, the others wait for that. */
  async #open(signal: AbortSignal): Promise<Opened> {
    for (;;) {
      const opened = this.#opened();
      if (opened !== undefined) return opened;
      this.#slot.opening ??= this.#initialize(signal).finally(() => {
        this.#slot.opening = undefined;
      });
      await this.#slot.opening.catch((error: unknown) => {
        // Somebody else's request was taken back while it opened the session for both.
        if (signal.aborted || error instanceof Unreached || error instanceof ServerError) throw error;
      });
    }
  }

  async #initialize(signal: AbortSignal): Promise<void> {
    const { protocolVersion, capabilities, clientInfo } = this.#client;
    const params = { protocolVersion, capabilities, clientInfo };
    const message = { jsonrpc: '2.0', id: 'initialize', method: 'initialize', params };
    const { result, sessionId } = await ask(this.#link, message, [], signal, NOBODY);
    this.#description = descriptionOf(result);
    const version = typeof result.protocolVersion === 'string' ? result.protocolVersion : protocolVersion;
    const opened = { id: sessionId, version, capabilities: this.#description.capabilities };
    const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
    await ask(this.#link, initialized, sessionHeaders(opened), signal, NOBODY).catch((error: unknown) => {
      throw error instanceof SessionLost ? new Unreached('failed', error.message, error) : error;
    });
    this.#slot.session = toText(opened);
  }

  async #request(opened: Opened, request: ServerRequest, signal: AbortSignal, hear: Hear): Promise<Json> {
    const { id, method, params } = request;
    const onAbort = () => {
      if (!(signal.reason instanceof Cancelled)) return;
      void this.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const message = { jsonrpc: '2.0', id, method, params };
      return (await ask(this.#link, message, sessionHeaders(opened), signal, hear)).result;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #listen(opened: Opened, hear: Hear, signal: AbortSignal): Promise<'not_offered' | 'lost'> {
    return new Promise((resolve) => {
      const events = {
        message: (_text: string, value: Json) => void hear(value),
        finished: (how: StreamEnd) => resolve(how === 'not_offered' || how === 'refused' ? 'not_offered' : 'lost'),
      };
      const stream = sessionStream(this.#send, () => sessionHeaders(opened), events, this.#link);
      signal.addEventListener('abort', () => {
        stream.stop();
        resolve('lost');
      });
      stream.start();
    });
  }
}
