import type { Logger } from '../../../platform/log.ts';
import type { Budget } from '../../gate/budgets/budgets.ts';
import { type Refusal, RefusedError } from '../../refusal.ts';
import type { OpenPipe } from './pipe.ts';
import { PipeServer, type PipeServerOptions } from './pipe-server.ts';

/** Who shares one running server: nobody (one each session), the sessions of one identity, or everybody. */
export type Sharing = 'session' | 'identity' | 'everybody';

export interface PipeServersOptions extends Pick<PipeServerOptions, 'limit' | 'now' | 'traced'> {
  /** The configured name, for the log. */
  readonly server: string;
  readonly sharing: Sharing;
  /** Running servers at a time. */
  readonly max: number;
  readonly log: Logger;
}

/** Milliseconds after the first failed start; doubled with each further one up to the longest. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

/** Characters of a text that is no message, in the log. */
const MAX_STRAY = 200;
const UNASKED = 'an MCP server answers what it was not asked, which is left out; further such answers are not logged';
const STRAY = 'an MCP server sends texts that are not messages, which is passed over; further texts are not logged';

/** The running servers behind one configured name. */
export class PipeServers {
  readonly #open: OpenPipe;
  readonly #options: PipeServersOptions;
  readonly #running = new Map<PipeServer, string>();
  readonly #shared = new Map<string, Promise<PipeServer>>();
  #failures = 0;
  #retryAt = 0;

  constructor(open: OpenPipe, options: PipeServersOptions) {
    this.#open = open;
    this.#options = options;
  }

  /**
   * A running server for a new session.
   *
   * @param owner from `ownerKey(identity)`
   * @param budget of whom all sessions of the server will be
   * @param fields what proves the relay there, asked for where a server has to be started
   * @throws RefusedError where there are too many or it has just failed, Error where it cannot be started or reached
   */
  async for(owner: string, budget: Budget, fields: () => Promise<readonly string[]>): Promise<PipeServer> {
    if (this.#options.sharing === 'session') return this.#start('', budget, fields);
    const key = this.#options.sharing === 'identity' ? owner : '';
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const starting = this.#start(key, budget, fields);
    this.#shared.set(key, starting);
    starting.catch(() => this.#shared.delete(key));
    return starting;
  }

  /** Ends the server where nobody uses it any more. */
  async release(server: PipeServer): Promise<void> {
    if (server.sessions.size > 0) return;
    this.#forget(server);
    await server.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((server) => server.close()));
    this.#running.clear();
    this.#shared.clear();
  }

  async #start(key: string, budget: Budget, fields: () => Promise<readonly string[]>): Promise<PipeServer> {
    const { max, now, sharing, log, limit, traced, server: name } = this.#options;
    if (now() < this.#retryAt) throw new RefusedError(failing(this.#retryAt - now()));
    if (this.#running.size >= max) throw new RefusedError(TOO_MANY_SERVERS);
    const server = new PipeServer({
      oneOwner: sharing !== 'everybody',
      budget,
      ...{ limit, now, traced },
      onEnd: (ended, why) => this.#ended(ended, why),
      onStray: (text) => log.warn({ server: name, text: text.slice(0, MAX_STRAY) }, STRAY),
      onUnasked: () => log.warn({ server: name }, UNASKED),
      onOversized: ({ size }) => log.warn({ server: name, size, limit }, 'a message of an MCP server is too large'),
    });
    this.#running.set(server, key);
    try {
      await server.start(this.#open, await fields());
      log.debug({ server: name, running: this.#running.size }, 'an MCP server was started');
      return server;
    } catch (error) {
      this.#forget(server);
      if (!(error instanceof RefusedError)) this.#failed(error as Error);
      throw error;
    }
  }

  #ended(server: PipeServer, why: Error): void {
    this.#forget(server);
    if (server.works) {
      this.#failures = 0;
      this.#options.log.warn({ server: this.#options.server, error: why }, 'a running MCP server has ended');
    } else if (!(why instanceof RefusedError)) this.#failed(why);
  }

  /** A server that dies before it has said a word is not started again at once, or the machine would do nothing else. */
  #failed(why: Error): void {
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    this.#retryAt = this.#options.now() + pause;
    this.#options.log.error({ server: this.#options.server, error: why, pause }, 'an MCP server does not start');
  }

  #forget(server: PipeServer): void {
    const key = this.#running.get(server);
    this.#running.delete(server);
    if (key !== undefined && this.#options.sharing !== 'session') this.#shared.delete(key);
  }
}

const TOO_MANY_SERVERS: Refusal = {
  status: 503,
  reason: 'too_many_servers',
  message: 'as many of these MCP servers run as may: try again later',
  fix: 'raise relay.servers.<name>.maxSessions, or let sessions share servers (relay.servers.<name>.sharing)',
  headers: { 'Retry-After': '30' },
};

/** @param left milliseconds */
function failing(left: number): Refusal {
  return {
    status: 502,
    reason: 'upstream_unreachable',
    message: 'the MCP server does not start; it is tried again soon',
    fix: 'the line "an MCP server does not start" says why',
    headers: { 'Retry-After': String(Math.ceil(left / 1000)) },
  };
}
