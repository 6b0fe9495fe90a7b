import { loadConfig } from '../platform/config/load.ts';
import { type Command, optionalText, textList, UsageError } from './command.ts';
import { explainMessage } from './explain-message.ts';
import { explainedPerson } from './explained-person.ts';
import { USER_OPTIONS } from './people.ts';
import { runningDifferences } from './running-configuration.ts';

export const explain: Command = {
  summary: 'say which rule decides a request, and why',
  usage: 'postern explain URL [options]',
  help: `  --header 'NAME: VALUE'   a header of the request; may be given several times
  --method METHOD          default: GET
  --user USER              who is signed in; absent: no one. By <issuer>#<subject> or subject; where forward-auth runs here and
                           auth.operatorToken is set, also by username, e-mail address or name, with the groups of their session
  --groups A,B             their groups
  --provider ID            who signed them in; default: the first of auth.providers
  --issuer URL             the same by the provider's issuer
  --scopes A,B             the scopes of their token; absent: it has none
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
    ...USER_OPTIONS,
    groups: { type: 'string' },
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
    const loaded = loadConfig(optionalText(line, 'config'), terminal.env);
    const { config, document } = loaded;
    const person = await explainedPerson(config, line, terminal);
    if (person === undefined) return 1;
    const { explainRequest, explanationLines } = await import('../forward-auth/explain/explain.ts');
    const { isProxyName } = await import('../forward-auth/explain/explain-views.ts');
    const proxy = optionalText(line, 'proxy');
    if (proxy !== undefined && !isProxyName(proxy)) throw new UsageError(`there is no proxy "${proxy}"; see --help`);
    const asked = {
      url,
      method: (optionalText(line, 'method') ?? 'GET').toUpperCase(),
      headers: Object.fromEntries(textList(line, 'header').map(header)),
      person,
      ...(proxy === undefined ? {} : { proxy }),
    };
    const explanation = explainRequest(config, asked, document);
    const relay = await explainMessage(config, line, { url, identity: person.identity, document });
    if (line.values.scopes === undefined && explanation.reason === 'insufficient_scope')
      terminal.printError(
        `without --scopes the token has none: ask again with --scopes ${explanation.scopesNeeded?.scopes.join(',') ?? 'A,B'}`,
      );
    const { warnings, notes } = await runningDifferences(loaded);
    for (const warning of warnings) terminal.printError(`warning: ${warning}`);
    for (const note of notes) terminal.printError(`note: ${note}`);
    terminal.print(
      line.values.json === true
        ? JSON.stringify(relay === undefined ? explanation : { ...explanation, relay: relay.explanation })
        : [...explanationLines(explanation), ...(relay?.lines ?? [])].join('\n'),
    );
    return 0;
  },
};

function header(text: string): [string, string] {
  const match = /^([\w!#$%&'*+.^`|~-]+):\s*(.*)$/.exec(text);
  if (match === null) throw new UsageError(`--header needs 'NAME: VALUE', not '${text.split(':')[0]}'`);
  return [(match[1] as string).toLowerCase(), match[2] as string];
}
