#!/usr/bin/env node
// Checks a running deployment as its clients and an attacker see it. Node 20 or newer, no packages. Each folder's check.sh
// says how: `node check.mjs --help`.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ask, authorize, callEcho, discover } from './mcp.mjs';
import { Person, send } from './person.mjs';

const USAGE = `usage: check.mjs [options]
  --edge URL          where clients come to (http://127.0.0.1:8080)
  --relay URL         the relay itself, which must believe nobody (http://127.0.0.1:4444)
  --server NAME       MCP server with a tool "echo" (everything)
  --user, --password  of a person who may use it (alice, alice). "": nobody can sign in by a script
  --outsider NAME     of a person who may not; the password is --outsider-password, or the name (carol). "": there is none
  --session PATH      page that signs a person in for a session (/_postern/sign-in). basic: their name and password go
                      with each request instead
  --challenge KIND    mcp: clients are told where to sign in and do; bare: a 401 without more, sessions only (mcp)`;

/** Everything that products call an identity, as somebody writes it who would be somebody else. */
const FORGED = {
  'X-Authenticated-User': 'root',
  'X-Authenticated-Groups': 'engineering,admins',
  'X-Auth-Request-User': 'root',
  'X-Auth-Request-Groups': 'engineering,admins',
  'X-Forwarded-User': 'root',
  'X-Forwarded-Groups': 'engineering,admins',
  'Remote-User': 'root',
  'Remote-Groups': 'engineering,admins',
};
const ALIASES = { X_Authenticated_User: 'root', 'X.Authenticated.User': 'root' };

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

const edge = new URL(options.edge);
const path = `/servers/${options.server}/mcp`;
const endpoint = new URL(path, edge).href;
/** Milliseconds that a proxy may take to read its routes. */
const PATIENCE = 30_000;
let failed = 0;

/** @returns what the step found; undefined where it failed, and the next ones go on */
async function step(what, look) {
  try {
    const found = await look();
    process.stdout.write(`ok    ${what}\n`);
    return found ?? true;
  } catch (error) {
    failed++;
    process.stdout.write(`FAIL  ${what}\n      ${error.message || error.code}\n`);
    return undefined;
  }
}

async function refused(address, headers, statuses) {
  const { status, headers: answered, text } = await ask(address, 1, 'tools/list', {}, headers);
  if (!statuses.includes(status)) throw new Error(`${status}, expected ${statuses.join(' or ')}`);
  // RFC 6750 §3.1: a better token of the same person would pass, so nobody was refused as a person.
  if (status === 403 && `${answered['www-authenticate']} ${text}`.includes('insufficient_scope'))
    throw new Error(
      '403 insufficient_scope: the credential lacks scopes, which refuses everybody alike; give a server that needs none',
    );
}

const echoed = async (headers) => {
  const result = await callEcho(endpoint, headers);
  if (!JSON.stringify(result).includes('through the gate'))
    throw new Error(`another answer: ${JSON.stringify(result)}`);
};

/** Cookie of a person's session: a page of the provider, and back. Where there is none, what stands in its place. */
async function session(person) {
  if (options.session === 'basic') return { Authorization: person.basic() };
  const start = new URL(options.session, edge);
  start.searchParams.set('rd', path);
  await person.go(start, endpoint);
  return { Cookie: person.cookie(edge.hostname), Origin: edge.origin, 'Sec-Fetch-Site': 'same-origin' };
}

/** No longer "not here" (404) or "nobody there" (502, 503, no connection). */
async function served() {
  for (const end = Date.now() + PATIENCE; ; await sleep(200)) {
    const status = await ask(endpoint, 1, 'ping', {}).then(
      (answer) => answer.status,
      (error) => error.code,
    );
    if (typeof status === 'number' && ![404, 500, 502, 503, 504].includes(status)) return;
    if (Date.now() > end) throw new Error(`${endpoint} answers ${status}`);
  }
}

await step('the edge serves', served);
const metadata =
  options.challenge === 'mcp'
    ? await step('a client without a token is told where to sign in', () => discover(endpoint))
    : await step('a client without a session is refused', () => refused(endpoint, {}, [401]));

await step('an identity written by the client is refused', () => refused(endpoint, FORGED, [400, 401, 403]));
for (const [name, value] of Object.entries(ALIASES))
  await step(`${name} is refused`, () => refused(endpoint, { [name]: value }, [400, 401, 403]));
await step('a token of nobody’s is refused', () => refused(endpoint, { Authorization: 'Bearer e30.e30.e30' }, [401]));
await step('the relay itself believes nobody', () =>
  refused(new URL(path, options.relay).href, { ...FORGED, 'X-Postern-Proxy-Secret': 'guessed' }, [400, 401, 403]),
);

if (options.user !== '' && options.challenge === 'mcp' && metadata !== undefined) {
  const person = new Person(options.user, options.password);
  const token = await step(`${options.user} signs in for an MCP client`, () => authorize(metadata, person));
  if (token !== undefined)
    await step('and calls a tool with the token', () => echoed({ Authorization: `Bearer ${token}` }));
}

if (options.user !== '') {
  const cookie = await step(`${options.user} signs in for a session`, () =>
    session(new Person(options.user, options.password)),
  );
  // A session has no scopes, so a server that needs one is for MCP clients alone.
  if (cookie !== undefined && !metadata?.scopes_supported?.length)
    await step('and calls a tool with the session', () => echoed(cookie));
}

if (options.user !== '' && options.outsider !== '') {
  const outsider = new Person(options.outsider, options['outsider-password'] ?? options.outsider);
  const theirs = await step(`${options.outsider}, who may not use it, signs in`, () => session(outsider));
  if (theirs !== undefined) {
    await step('and is refused', () => refused(endpoint, theirs, [403]));
    await step('also with the groups of another, written by hand', () =>
      refused(endpoint, { ...theirs, ...FORGED }, [400, 403]),
    );
  }
}

if (options.challenge === 'mcp')
  await step('the keys of the identity assertion are public', async () => {
    const answer = await send(new URL('/_postern/jwks.json', edge));
    if (answer.status !== 200 || JSON.parse(answer.text).keys.some((key) => 'd' in key)) throw new Error(answer.text);
  });

process.stdout.write(failed === 0 ? 'all is well\n' : `${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
