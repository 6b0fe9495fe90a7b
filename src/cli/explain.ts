import { loadConfig } from '../platform/config/load.ts';
import { type Command, type CommandLine, optionalText, textList, UsageError } from './command.ts';
import { explainMessage } from './explain-message.ts';
import { runningDifferences } from './running-configuration.ts';

export const explain: Command = {
  summary: 'say which rule decides a request, and why',
  usage: 'postern explain URL [options]',
  help: `  --header 'NAME: VALUE'   a header of the request; may be given several times
  --method METHOD          default: GET
  --user SUBJECT           who is signed in; absent: no one
  --groups A,B             their groups
  --provider ID            who signed them in; default: the first of auth.providers
  --scopes A,B             the scopes of their token
  --proxy NAME             show the answer to traefik, caddy, nginx, envoy or envoy-grpc only; default: auth.proxy, or all
  --json                   print it as one JSON object

What the relay's policy says of a message to /servers/NAME/mcp:
  --tool NAME              a call of this tool
  --arguments JSON         its arguments
  --prompt NAME            instead: a use of this prompt
  --resource URI           instead: a read of this resource
  --mcp-method METHOD      instead: a message with this method
  --read-only              the server lists the tool with readOnlyHint`,
  options: {
    header: { type: 'string', multiple: true },
    method: { type: 'string' },
    user: { type: 'string' },
    groups: { type: 'string' },
    provider: { type: 'string' },
    scopes: { type: 'string' },
    proxy: { type: 'string' },
    json: { type: 'boolean' },
    tool: { type: 'string' },
    arguments: { type: 'string' },
    prompt: { type: 'string' },
    resource: { type: 'string' },
    'mcp-method': { type: 'string' },
    'read-only': { type: 'boolean' },
  },
  positionals: [1, 1],
  async run(line, terminal) {
    const url = line.positionals[0] as string;
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new UsageError(`"${url}" is not an http or https URL`);
    const user = optionalText(line, 'user');
    const groups = names(line, 'groups');
    const scopes = names(line, 'scopes');
    if (user === undefined && (groups !== undefined || scopes !== undefined))
      throw new UsageError('--groups and --scopes need --user: without it the request is anonymous');
    const { config, document } = loadConfig(optionalText(line, 'config'), terminal.env);
    const provider = optionalText(line, 'provider');
    const known = config.auth.providers.map(({ id }) => id);
    if (provider !== undefined && !known.includes(provider))
      throw new UsageError(`there is no provider "${provider}" in auth.providers, but: ${known.join(', ') || 'none'}`);
    const { explainRequest, explanationLines } = await import('../forward-auth/explain/explain.ts');
    const { isProxyName } = await import('../forward-auth/explain/explain-views.ts');
    const proxy = optionalText(line, 'proxy');
    if (proxy !== undefined && !isProxyName(proxy)) throw new UsageError(`there is no proxy "${proxy}"; see --help`);
    const asked = {
      url,
      method: (optionalText(line, 'method') ?? 'GET').toUpperCase(),
      headers: Object.fromEntries(textList(line, 'header').map(header)),
      ...(user === undefined ? {} : { user }),
      ...(groups === undefined ? {} : { groups }),
      ...(provider === undefined ? {} : { provider }),
      ...(scopes === undefined ? {} : { scopes }),
      ...(proxy === undefined ? {} : { proxy }),
    };
    const explanation = explainRequest(config, asked, document);
    const relay = await explainMessage(config, line, { url, user, groups, provider, scopes });
    for (const difference of await runningDifferences(config)) terminal.printError(`warning: ${difference}`);
    if (line.values.json === true)
      terminal.print(JSON.stringify(relay.length === 0 ? explanation : { ...explanation, relay }));
    else terminal.print([...explanationLines(explanation), ...relay].join('\n'));
    return 0;
  },
};

function names(line: CommandLine, option: string): string[] | undefined {
  return optionalText(line, option)
    ?.split(/[,\s]+/)
    .filter((name) => name !== '');
}

function header(text: string): [string, string] {
  const match = /^([\w!#$%&'*+.^`|~-]+):\s*(.*)$/.exec(text);
  if (match === null) throw new UsageError(`--header needs 'NAME: VALUE', not '${text.split(':')[0]}'`);
  return [(match[1] as string).toLowerCase(), match[2] as string];
}
