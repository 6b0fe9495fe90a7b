// What ContextForge must know before anyone can use it: the MCP server, a virtual server with its tools, a role, a person.
// Run again it changes nothing. Its API takes the administrator by the header that a proxy would set, which is why no one else
// may reach its port.

import { send } from '../check/person.mjs';

const CONTEXTFORGE = 'http://127.0.0.1:4445';
const VIRTUAL_SERVER = '6f1d2f0e6f3b4c1a9a392f6f2c1f7a11';
const ADMINISTRATOR = {
  'X-Authenticated-Email': 'admin@contextforge.invalid',
  Authorization: 'Bearer none',
  'Content-Type': 'application/json',
};
/** Of a role for people who use tools and change nothing. */
const PERMISSIONS = ['servers.use', 'servers.read', 'tools.read', 'tools.execute'];
/** Milliseconds that it takes to read the tools of a server. */
const PATIENCE = 30_000;

async function call(method, path, body) {
  const answer = await send(CONTEXTFORGE + path, {
    method,
    headers: ADMINISTRATOR,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`);
  return JSON.parse(answer.text);
}

const list = (path) => call('GET', path);
const make = (path, body) => call('POST', path, body);

async function toolIds() {
  for (const end = Date.now() + PATIENCE; ; ) {
    const tools = await list('/v1/tools?limit=0');
    if (tools.length > 0) return tools.map(({ id }) => id);
    if (Date.now() > end) throw new Error('ContextForge reads no tools of the MCP server');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const gateways = await list('/v1/gateways');
if (!gateways.some(({ name }) => name === 'everything'))
  await make('/v1/gateways', { name: 'everything', url: 'http://127.0.0.1:4191/mcp', transport: 'STREAMABLEHTTP' });

const servers = await list('/v1/servers');
if (!servers.some(({ id }) => id === VIRTUAL_SERVER))
  await make('/v1/servers', {
    server: { id: VIRTUAL_SERVER, name: 'forge', associated_tools: await toolIds() },
    visibility: 'public',
  });

const roles = await list('/v1/rbac/roles');
const role =
  roles.find(({ name }) => name === 'mcp_user') ??
  (await make('/v1/rbac/roles', {
    name: 'mcp_user',
    description: 'Uses the tools of virtual servers',
    scope: 'global',
    permissions: PERMISSIONS,
  }));

const ALICE = 'alice@example.com';
const users = await list('/v1/auth/email/admin/users?limit=0');
if (!users.some(({ email }) => email === ALICE)) {
  await make('/v1/auth/email/admin/users', {
    email: ALICE,
    full_name: 'Alice',
    // No one signs in with it: she comes through Postern. With dots, because letters or digits in their order are refused.
    password: `${[...crypto.randomUUID().slice(0, 23)].join('.')}-A`,
    is_admin: false,
    password_change_required: false,
  });
  // A role of a team does not count for a virtual server that is everybody's.
  await make(`/v1/rbac/users/${ALICE}/roles`, { role_id: role.id, scope: 'global' });
}
process.stdout.write('ContextForge knows the server and alice\n');
