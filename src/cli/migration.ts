import { loadConfig } from '../platform/config/load.ts';
import { type Command, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';

const WAYS = ['proxy', 'jwt', 'both'];

export const migration: Command = {
  summary: 'who still uses a JWT and who comes by the proxy, at the running relay',
  usage: 'postern migration [--way proxy|jwt|both]',
  help: `Asks the relay at relay.internalListen, with relay.operatorToken. Prints one JSON object a line, last seen first.
Each replica knows who came to it since it started.

  --way WAY   only users who came that way: proxy, jwt, or both at once`,
  options: { way: { type: 'string' } },
  positionals: [0, 0],
  async run(line, terminal) {
    const way = optionalText(line, 'way');
    if (way !== undefined && !WAYS.includes(way)) throw new UsageError(`--way is one of ${WAYS.join(', ')}`);
    const { config } = loadConfig(optionalText(line, 'config'), terminal.env);
    const query = way === undefined ? '' : `?way=${way}`;
    return print(await askOperatorApi(config.relay, 'GET', `/migration${query}`, undefined, 'relay'), terminal);
  },
};

function print({ users, since, forgotten }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(users) ? (users as object[]) : [];
  // As JSON: a name is what somebody chose, and a terminal must not obey it.
  for (const user of list) terminal.print(JSON.stringify(user));
  const more = Number(forgotten) > 0 ? `, ${Number(forgotten)} forgotten (relay.migration.maxUsers)` : '';
  terminal.printError(`${list.length} user${list.length === 1 ? '' : 's'} since ${String(since)}${more}`);
  return 0;
}
