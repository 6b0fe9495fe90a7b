import { type ClientLine, clientLines } from '../platform/client-lines.ts';

/** The Inspector's second version needs this Node.js. */
const INSPECTOR_NODE = 22;

/** What is running, as far as a person may try it. */
export interface Running {
  readonly publicUrl: string;
  readonly issuer: string;
  readonly servers: readonly string[];
  readonly aggregate: boolean;
}

/**
 * What to try, printed once everything is up. Each command works as printed; a test runs them.
 *
 * @param nodeVersion as `process.versions.node`
 */
export function instructions(running: Running, nodeVersion: string): string {
  const [name] = running.servers;
  const steps = [
    ...(name === undefined ? [] : serverSteps(name, running, nodeVersion)),
    ...(running.aggregate ? [aggregateStep(running)] : []),
    `In your browser: your servers, your sessions, sign out\n\n${running.publicUrl}/_postern/home`,
    `In your browser, as alice (group admins): the admin pages\n\n${running.publicUrl}/admin`,
  ];
  return `
${steps.map((step, index) => `${index + 1}. ${step}`).join('\n\n')}

Ctrl-C ends everything. Accounts, client registrations and keys are forgotten then.
`;
}

function serverSteps(name: string, running: Running, nodeVersion: string): string[] {
  const server = `${running.publicUrl}/servers/${name}/mcp`;
  const initialize = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'curl', version: '1' } },
  });
  const post = [
    `-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'`,
    `-d '${initialize}'`,
  ].join(' \\\n  ');
  const others = running.servers.slice(1);
  return [
    `Without a token: 401, and WWW-Authenticate says where to sign in

curl -i ${server} \\
  ${post}`,
    `With one: get it for alice, and the server "${name}" answers if the rules allow her

TOKEN=$(curl -s ${running.issuer}/token -d grant_type=password -d client_id=demo -d username=alice -d password=alice -d 'scope=openid mcp:use' -d resource=${server} | node -p 'JSON.parse(require("fs").readFileSync(0)).access_token')
curl -i ${server} -H "Authorization: Bearer $TOKEN" \\
  ${post}`,
    `With your MCP client, signing in as alice, bob or carol (the password is the name; carol is in sales, the others in engineering)

${printedLines(name, server, nodeVersion)}${
  others.length === 0
    ? ''
    : `\n\n   The same for ${others.map((other) => `${running.publicUrl}/servers/${other}/mcp`).join(', ')}`
}`,
  ];
}

/** The first is one that runs on this Node.js. */
function printedLines(name: string, server: string, nodeVersion: string): string {
  const runsInspector = Number.parseInt(nodeVersion, 10) >= INSPECTOR_NODE;
  const first = runsInspector ? 'MCP Inspector' : 'mcp-remote';
  const note = ({ client, file }: ClientLine) => {
    if (client === 'MCP Inspector' && !runsInspector)
      return `, needs Node.js ${INSPECTOR_NODE}, this is ${nodeVersion}`;
    return file === undefined ? '' : `, in ${file}`;
  };
  return clientLines(name, server)
    .toSorted((one, other) => Number(other.client === first) - Number(one.client === first))
    .map((entry) => `# ${entry.client}${note(entry)}\n${entry.line}`)
    .join('\n');
}

function aggregateStep({ publicUrl, servers }: Running): string {
  return `All servers as one, their tools under ${servers.map((server) => `${server}__…`).join(', ')}

claude mcp add --transport http all-servers ${publicUrl}/mcp`;
}
