/** What a client calls something of one server, and what the server calls it. */
export interface ServersOwn {
  readonly server: string;
  readonly name: string;
}

/**
 * Names of tools and prompts of several servers in one list: `<server><separator><name>`. They are taken apart at the first
 * separator, so that no list has to be known and no replica can read a name in another way.
 */
export class Names {
  readonly #separator: string;
  readonly #maxLength: number;
  readonly #servers: ReadonlySet<string>;

  /** @param maxLength characters of a whole name */
  constructor(servers: Iterable<string>, separator: string, maxLength: number) {
    this.#servers = new Set(servers);
    this.#separator = separator;
    this.#maxLength = maxLength;
  }

  /** @returns undefined where the name would be longer than clients take */
  toClient(server: string, name: string): string | undefined {
    const whole = server + this.#separator + name;
    return name !== '' && whole.length <= this.#maxLength ? whole : undefined;
  }

  /** @returns undefined where no server of the aggregate could be meant */
  toServer(whole: string): ServersOwn | undefined {
    const end = whole.indexOf(this.#separator);
    if (end < 0) return undefined;
    const server = whole.slice(0, end);
    const name = whole.slice(end + this.#separator.length);
    return this.#servers.has(server) && name !== '' ? { server, name } : undefined;
  }
}
