import { type Command, type CommandLine, optionalText, UsageError } from './command.ts';

/** One thing that was tried. */
interface Step {
  readonly what: string;
  /** Why it failed. */
  readonly cause?: string;
}

type Verify = (options: Readonly<Record<string, string>>, tell: (step: Step) => void) => Promise<number>;

/** Without packages and without a build, so that the folders of `deploy/` can use it as it stands. */
const VERIFY = new URL('../../deploy/check/verify.mjs', import.meta.url).href;

export const verify: Command = {
  summary: 'try a running deployment as its clients and an attacker would',
  usage: 'postern verify URL --server NAME [options]',
  help: `URL is where clients come to, such as https://mcp.example.com. A client without a token must be told where to sign in; identities
written by hand, aliases of their headers and forged tokens must be refused. With --user a user signs in, as an MCP client and
for a session, and must get through; with --outsider a user signs in who must be refused as a person.

  --server NAME                        the MCP server that is tried; needed
  --relay URL                          the relay itself, past the proxy, which must believe no one
  --user NAME --password TEXT          of a person who may use the server
  --outsider NAME --outsider-password TEXT   of another, who may not
  --tool NAME                          a tool that returns its argument \`message\`; absent: the tools are listed
  --session PATH                       page that signs a person in, or basic (/_postern/sign-in)
  --challenge mcp|bare                 clients are told where to sign in, or get a bare 401 (mcp)
  --json                               one JSON object a step: what, ok, cause

Exit code 0 where all is well, 1 where a step failed, 64 where the command line is wrong.`,
  options: {
    server: { type: 'string' },
    relay: { type: 'string' },
    user: { type: 'string' },
    password: { type: 'string' },
    outsider: { type: 'string' },
    'outsider-password': { type: 'string' },
    tool: { type: 'string' },
    session: { type: 'string' },
    challenge: { type: 'string' },
    json: { type: 'boolean' },
  },
  values: { challenge: ['mcp', 'bare'] },
  positionals: [1, 1],
  async run(line, terminal) {
    const options = read(line);
    const { verify: tryAll } = (await import(VERIFY)) as { readonly verify: Verify };
    const failed = await tryAll(options, ({ what, cause }) => {
      if (line.values.json === true) terminal.print(JSON.stringify({ what, ok: cause === undefined, cause }));
      else terminal.print(cause === undefined ? `ok    ${what}` : `FAIL  ${what}\n      ${cause}`);
    });
    if (line.values.json !== true) terminal.print(failed === 0 ? wellFor(options) : `${failed} failed`);
    return failed === 0 ? 0 : 1;
  },
};

/** What was not tried is not well yet. */
function wellFor({ user, outsider, relay }: Readonly<Record<string, string>>): string {
  const left = [
    ...(user === '' ? ['that a user gets through (--user)'] : []),
    ...(outsider === '' ? ['that another is refused (--outsider)'] : []),
    ...(relay === undefined ? ['the relay past the proxy (--relay)'] : []),
  ];
  return left.length === 0 ? 'all is well' : `all that was tried is well; not tried: ${left.join(', ')}`;
}

function read(line: CommandLine): Record<string, string> {
  const text = (name: string) => optionalText(line, name);
  const edge = line.positionals[0] as string;
  for (const url of [edge, text('relay')])
    if (url !== undefined && (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)))
      throw new UsageError(`"${url}" is not an http or https URL`);
  const [server, user = '', outsider = ''] = [text('server'), text('user'), text('outsider')];
  const challenge = text('challenge') ?? 'mcp';
  if (server === undefined) throw new UsageError('--server is needed: the name of an MCP server in relay.servers');
  if (challenge !== 'mcp' && challenge !== 'bare') throw new UsageError(`--challenge is mcp or bare, not ${challenge}`);
  if (outsider !== '' && user === '')
    throw new UsageError('--outsider needs --user, who may do what the outsider may not');
  if (user !== '' && user === outsider)
    throw new UsageError(`--user and --outsider are both "${user}": one may use the server, the other may not`);
  const password = needed(text('password'), user, 'password');
  const outsiderPassword = needed(text('outsider-password'), outsider, 'outsider-password');
  const [relay, tool] = [text('relay'), text('tool')];
  const session = text('session') ?? '/_postern/sign-in';
  return {
    ...{ edge, server, user, password, outsider, outsiderPassword, session, challenge },
    ...(relay === undefined ? {} : { relay }),
    ...(tool === undefined ? {} : { tool }),
  };
}

function needed(password: string | undefined, person: string, name: string): string {
  if (person !== '' && password === undefined) throw new UsageError(`--${name} of "${person}" is needed`);
  return password ?? '';
}
