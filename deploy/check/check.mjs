#!/usr/bin/env node
// Checks a running deployment as its clients and an attacker see it, by the names of the examples: `postern verify` with defaults.
// Node 20 or newer, no packages. Each folder's check.sh says how: `node check.mjs --help`.

import { parseArgs } from 'node:util';
import { verify } from './verify.mjs';

const USAGE = `usage: check.mjs [options]
  --edge URL          where clients come to (http://127.0.0.1:8080)
  --relay URL         the relay itself, which must believe no one (http://127.0.0.1:4444)
  --server NAME       MCP server with a tool "echo" (everything)
  --user, --password  of a person who may use it (alice, alice). "": no sign-in by a script
  --outsider NAME     of a person who may not; the password is --outsider-password, or the name (carol). "": there is none
  --session PATH      page that signs a person in for a session (/_postern/sign-in). basic: their name and password go
                      with each request instead
  --challenge KIND    mcp: clients are told where to sign in and do; bare: a 401 without more, sessions only (mcp)`;

const text = (value) => ({ type: 'string', default: value });
const { values: options } = parseArgs({
  options: {
    edge: text('http://127.0.0.1:8080'),
    relay: text('http://127.0.0.1:4444'),
    server: text('everything'),
    user: text('alice'),
    password: text('alice'),
    outsider: text('carol'),
    'outsider-password': { type: 'string' },
    session: text('/_postern/sign-in'),
    challenge: text('mcp'),
    help: { type: 'boolean', default: false },
  },
});
if (options.user !== '' && options.user === options.outsider) {
  process.stderr.write(`--user and --outsider are both "${options.user}": one may use the server, the other may not\n`);
  process.exit(2);
}
if (options.help || !['mcp', 'bare'].includes(options.challenge)) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(options.help ? 0 : 2);
}
const failed = await verify(
  { ...options, outsiderPassword: options['outsider-password'] ?? options.outsider, tool: 'echo' },
  ({ what, cause }) =>
    process.stdout.write(cause === undefined ? `ok    ${what}\n` : `FAIL  ${what}\n      ${cause}\n`),
);
process.stdout.write(failed === 0 ? 'all is well\n' : `${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
