import { z } from 'zod';
import { upstreamCredential } from './credential-schema.ts';
import { passThroughNames } from './passthrough-schema.ts';
import { upstreamTls } from './tls-schema.ts';
import { duration, httpUrl } from './values.ts';

const serverUrl = z
  .string()
  .meta({ description: 'where the server is: http, https, ws or wss' })
  .superRefine((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^(?:http|ws)s?:$/.test(url.protocol) || url.hash !== '' || url.username !== '')
      context.addIssue({ code: 'custom', message: 'must be an http, https, ws or wss URL without user or fragment' });
  });

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');

/** One MCP server: an address, or a program that the relay starts. */
export const upstreamServer = z
  .strictObject({
    title: z
      .string()
      .min(1)
      .max(60)
      .optional()
      .meta({ description: 'what people call it, on the pages that they see; absent: its name' }),
    url: serverUrl.optional(),
    transport: z.enum(['streamable-http', 'http-sse', 'websocket']).optional().meta({
      description: 'how `url` is spoken to; absent: `websocket` for ws and wss, otherwise `streamable-http`',
    }),
    era: z.enum(['auto', 'legacy', 'modern', 'both']).default('auto').meta({
      description:
        'what it speaks: `legacy` sessions (up to 2025-11-25), `modern` (from 2026-07-28), or `both`; `auto`: found out. Clients of the other era are translated for, with `both` none are',
    }),
    command: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'a program that speaks MCP over stdio, instead of `url`' }),
    args: z.array(z.string()).default([]).meta({ description: 'its arguments; no shell reads them' }),
    cwd: z.string().min(1).optional().meta({ description: 'the folder it starts in; absent: the relay’s own' }),
    env: z.record(variable, z.string()).default({}).meta({ description: 'its environment' }),
    inheritEnv: z
      .array(variable)
      .default(['HOME', 'LANG', 'PATH', 'TMPDIR', 'TZ'])
      .meta({ description: 'variables of the relay that it gets too; nothing else of them' }),
    sharing: z.enum(['session', 'identity', 'everybody']).default('session').meta({
      description:
        'programs, WebSockets and HTTP+SSE: one for each MCP session, one for all sessions of an identity, or one for all users, if the server keeps no state of a user',
    }),
    maxSessions: z.int().min(1).default(50).meta({ description: 'such programs or connections at a time' }),
    idleTimeout: duration('ends such a session that is not used').prefault('30m'),
    timeout: duration(
      'until an answer must have begun; a server that takes longer is told to cancel. For a program, WebSocket or HTTP+SSE to start, a minute of it at most',
    ).prefault('15m'),
    tls: upstreamTls.optional(),
    resource: httpUrl('its resource identifier (RFC 8707), for which tokens are issued; absent: url').optional(),
    passthrough: passThroughNames('headers of the client handed on to it, beside `relay.passthrough.headers`'),
    allowSensitive: passThroughNames('those among them that are credentials or identities and are meant'),
    identityHeaders: z.boolean().default(false).meta({ description: 'send it the verified identity as headers' }),
    assertion: z
      .boolean()
      .default(false)
      .meta({ description: 'send it `X-Authenticated-Assertion`, signed by the relay for this server alone' }),
    credential: upstreamCredential.optional().meta({ description: 'how the relay proves itself there' }),
  })
  .superRefine((server, context) => {
    const issue = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    const { url, command, transport, tls, assertion, credential, identityHeaders } = server;
    if ((url === undefined) === (command === undefined)) return issue('url', 'give exactly one of url and command');
    const piped = command !== undefined || /^wss?:/.test(url ?? '') || transport === 'http-sse';
    if (piped && server.era === 'modern')
      issue('era', 'programs, WebSockets and HTTP+SSE are spoken to in the sessions’ era');
    if (command !== undefined) {
      for (const key of ['transport', 'tls', 'credential', 'resource'] as const)
        if (server[key] !== undefined) issue(key, 'is for a server with a url');
      if (assertion || identityHeaders)
        issue('command', 'a program gets no headers: remove identityHeaders and assertion');
      return;
    }
    const socket = /^wss?:/.test(url as string);
    if (transport !== undefined && (transport === 'websocket') !== socket)
      issue('transport', socket ? 'ws and wss are spoken to as `websocket`' : '`websocket` needs a ws or wss address');
    if (socket && credential?.connection !== undefined)
      issue('credential', 'an account that people connect is found at an http or https address');
    if (tls !== undefined && !/^(?:http|ws)s:/.test(url as string))
      issue('tls', 'needs an https or wss address in `url`');
    if (
      server.sharing === 'everybody' &&
      credential !== undefined &&
      transport !== 'streamable-http' &&
      (socket || transport === 'http-sse')
    )
      issue('sharing', 'a connection that proves one person cannot serve everybody');
  });
