// Tries a running deployment as its clients and an attacker would. Node 20 or newer, no packages: `postern verify` and check.mjs
// both call it.

import { setTimeout as sleep } from 'node:timers/promises';
import { ask, authorize, discover, useServer } from './mcp.mjs';
import { Person, send } from './person.mjs';

/** Milliseconds that a proxy may take to read its routes. */
const PATIENCE = 30_000;

/** Everything that products call an identity, as an attacker writes it. */
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
/** Reasons by which forward-auth refuses this person alone, or what they wrote by hand. */
const BY_RULE = ['not_allowed', 'forwarded_headers', 'credential_conflict'];
const FIX = {
  no_rule: 'write a rule for this server',
  user_suspended: 'they are suspended: `postern suspend --lift`, or give another --outsider',
};
const ALIASES = { X_Authenticated_User: 'root', 'X.Authenticated.User': 'root' };

/**
 * @param {{ edge: string, relay?: string, server: string, user: string, password: string, outsider: string,
 *   outsiderPassword: string, session: string, challenge: 'mcp' | 'bare', tool?: string }} options `relay`: absent, it is not tried;
 *   `tool`: one that returns its argument `message`; absent, the tools are listed
 * @param {(step: { what: string, cause?: string }) => void} tell told of each step; `cause`: why it failed
 * @returns {Promise<number>} how many steps failed
 */
export async function verify(options, tell) {
  const edge = new URL(options.edge);
  const path = `/servers/${options.server}/mcp`;
  const endpoint = new URL(path, edge).href;
  let failed = 0;

  /** @returns what the step found; undefined where it failed, and the next ones go on */
  async function step(what, look) {
    try {
      const found = await look();
      tell({ what });
      return found ?? true;
    } catch (error) {
      failed++;
      tell({ what, cause: error.message || error.code });
      return undefined;
    }
  }

  async function refused(address, headers, statuses) {
    const { status, headers: answered, text, message } = await ask(address, 1, 'tools/list', {}, headers);
    if (!statuses.includes(status)) throw new Error(`${status}, expected ${statuses.join(' or ')}`);
    // RFC 6750 §3.1: a better token of the same person would pass, so no person was refused.
    if (status === 403 && `${answered['www-authenticate']} ${text}`.includes('insufficient_scope'))
      throw new Error(
        '403 insufficient_scope: the credential lacks scopes, which refuses everybody alike; give a server that needs none',
      );
    return message;
  }

  /** Forward-auth says why: a missing rule or a wrong proxy would refuse everybody. Other products say nothing. */
  async function refusedByRule(headers, statuses) {
    const { reason = 'not_allowed' } = (await refused(endpoint, headers, statuses)) ?? {};
    if (!BY_RULE.includes(reason))
      throw new Error(
        `403 ${reason}: no rule refuses this person; ${FIX[reason] ?? 'the same would refuse everybody'}`,
      );
  }

  const used = (headers) => useServer(endpoint, headers, options.tool);

  /** Cookie of a person's session: a page of the provider, and back. Where there is none, what stands in its place. */
  async function session(person) {
    if (options.session === 'basic') return { Authorization: person.basic() };
    const start = new URL(options.session, edge);
    start.searchParams.set('rd', path);
    await person.go(start, endpoint);
    return { Cookie: person.cookie(edge.hostname), Origin: edge.origin, 'Sec-Fetch-Site': 'same-origin' };
  }

  /** No longer "not here" (404) or "no server there" (502, 503, no connection). */
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
  await step('a token of no user is refused', () => refused(endpoint, { Authorization: 'Bearer e30.e30.e30' }, [401]));
  if (options.relay !== undefined)
    await step('the relay itself believes no one', () =>
      refused(new URL(path, options.relay).href, { ...FORGED, 'X-Postern-Proxy-Secret': 'guessed' }, [400, 401, 403]),
    );

  if (options.user !== '' && options.challenge === 'mcp' && metadata !== undefined) {
    const person = new Person(options.user, options.password);
    const token = await step(`${options.user} signs in for an MCP client`, () => authorize(metadata, person));
    if (token !== undefined)
      await step('and uses the server with the token', () => used({ Authorization: `Bearer ${token}` }));
  }

  if (options.user !== '') {
    const cookie = await step(`${options.user} signs in for a session`, () =>
      session(new Person(options.user, options.password)),
    );
    // A session has no scopes, so a server that needs one is for MCP clients alone.
    if (cookie !== undefined && !metadata?.scopes_supported?.length)
      await step('and uses the server with the session', () => used(cookie));
  }

  if (options.user !== '' && options.outsider !== '') {
    const outsider = new Person(options.outsider, options.outsiderPassword);
    const theirs = await step(`${options.outsider}, who may not use it, signs in`, () => session(outsider));
    if (theirs !== undefined) {
      await step('and is refused', () => refusedByRule(theirs, [403]));
      await step('also with the groups of another, written by hand', () =>
        refusedByRule({ ...theirs, ...FORGED }, [400, 403]),
      );
    }
  }

  if (options.challenge === 'mcp')
    await step('the keys of the identity assertion are public', async () => {
      const answer = await send(new URL('/_postern/jwks.json', edge));
      if (answer.status !== 200 || JSON.parse(answer.text).keys.some((key) => 'd' in key)) throw new Error(answer.text);
    });

  return failed;
}
