import { loadConfig } from '../platform/config/load.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { askOperatorApi } from './operator-client.ts';

export const pins: Command = {
  summary: 'list, approve or reject tools whose definition is new or changed, at the running relay',
  usage: 'postern pins list|approve|reject [options]',
  help: `Asks the relay at relay.internalListen, with relay.operatorToken; needs relay.pins.

  --server NAME   with \`approve\` and \`reject\`: the server
  --tool NAME     its tool
  --hash HASH     the definition that \`list\` shows: nothing is decided about another one that is listed meanwhile`,
  options: { server: { type: 'string' }, tool: { type: 'string' }, hash: { type: 'string' } },
  choices: ['list', 'approve', 'reject'],
  positionals: [1, 1],
  async run(line, terminal) {
    const [action] = line.positionals;
    if (action !== 'list' && action !== 'approve' && action !== 'reject')
      throw new UsageError(`there are \`pins list\`, \`pins approve\` and \`pins reject\`, no \`pins ${action}\``);
    const wanted = action === 'list' ? undefined : listedTool(line);
    const { relay } = loadConfig(optionalText(line, 'config'), terminal.env).config;
    if (wanted === undefined)
      return printHeld(await askOperatorApi(relay, 'GET', '/pins', undefined, 'relay'), terminal);
    await askOperatorApi(relay, 'POST', `/pins/${action}`, wanted, 'relay');
    terminal.print(action === 'approve' ? 'approved' : 'rejected');
    return 0;
  },
};

function listedTool(line: CommandLine): { server: string; tool: string; hash: string } {
  const [server, tool, hash] = ['server', 'tool', 'hash'].map((name) => optionalText(line, name));
  if (server === undefined || tool === undefined || hash === undefined)
    throw new UsageError('which definition? Give --server, --tool and --hash, as `pins list` prints them');
  return { server, tool, hash };
}

function printHeld({ held }: Record<string, unknown>, terminal: Terminal): number {
  const list = Array.isArray(held) ? (held as object[]) : [];
  if (list.length === 0) terminal.printError('no tool is held back');
  // As JSON, one a line: a server names its tools as it likes, and a terminal must not obey that.
  for (const tool of list) terminal.print(JSON.stringify(tool));
  return 0;
}
