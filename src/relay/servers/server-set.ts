import { ALL_SERVERS } from '../all-servers.ts';
import type { Upstream } from '../upstreams/upstream.ts';
import type { ConfiguredServer } from './configured-server.ts';

/** Milliseconds between two looks at what another configuration has replaced. */
const LOOK = 1_000;

/** What a new configuration makes of the servers, by name. */
export interface ServerChanges {
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/**
 * The MCP servers of the configuration that runs, and those that it has replaced: a session goes on with the server that it began
 * with until nobody uses that one any more.
 */
export class ServerSet {
  #current: ReadonlyMap<string, ConfiguredServer> = new Map();
  readonly #superseded = new Map<ConfiguredServer, string>();
  readonly #timer: NodeJS.Timeout;
  readonly #onFailure: (error: unknown) => void;
  /** All servers as one. */
  aggregate: Upstream | undefined;

  /** @param onFailure told where a replaced server does not close as it should; nobody waits for that */
  constructor(onFailure: (error: unknown) => void, look = LOOK) {
    this.#onFailure = onFailure;
    this.#timer = setInterval(() => this.#closeUnused(), look);
    this.#timer.unref();
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** @param definition of the server that a session began with; absent, or not known here: the current one */
  get(name: string, definition?: string): Upstream | undefined {
    if (name === ALL_SERVERS) return this.aggregate;
    const current = this.#current.get(name);
    if (current === undefined || definition === undefined || current.definition === definition) return current;
    return this.find(name, definition) ?? current;
  }

  /** By this very configuration, current or replaced. */
  find(name: string, definition: string): ConfiguredServer | undefined {
    const current = this.#current.get(name);
    if (current?.definition === definition) return current;
    for (const [server, superseded] of this.#superseded)
      if (superseded === name && server.definition === definition) return server;
    return undefined;
  }

  /** Takes another set. What is no longer in it by its name ends; what is there by another definition goes on for its sessions. */
  replace(next: ReadonlyMap<string, ConfiguredServer>): ServerChanges {
    const removed: string[] = [];
    const changed: string[] = [];
    for (const [name, server] of this.#current) {
      if (next.get(name) === server) continue;
      this.#superseded.set(server, name);
      if (next.has(name)) changed.push(name);
      else removed.push(name);
    }
    for (const server of next.values()) this.#superseded.delete(server);
    this.#current = next;
    return { removed, changed };
  }

  /** Ends what is left of removed servers: at once where nothing runs there, otherwise after `grace` milliseconds. Never rejects. */
  async endRemoved(names: readonly string[], grace: number): Promise<void> {
    const ending = [...this.#superseded].filter(([, name]) => names.includes(name)).map(([server]) => server);
    const deadline = performance.now() + grace;
    while (ending.some(({ idle }) => !idle) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, Math.min(50, grace)));
    await Promise.all(ending.map((server) => this.#end(server)));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.aggregate?.close();
    await Promise.all([...this.#current.values(), ...this.#superseded.keys()].map((server) => server.close()));
  }

  #closeUnused(): void {
    for (const server of [...this.#superseded.keys()]) {
      if (server.unused) void this.#end(server);
    }
  }

  /** Unless it has become the current one again, or has ended. Never rejects. */
  async #end(server: ConfiguredServer): Promise<void> {
    if (this.#superseded.delete(server)) await server.close().catch(this.#onFailure);
  }
}
