import { z } from 'zod';
import { classifyHeader, foldHeaderName } from '../../identity/headers.ts';
import { headerName, optionalSection, size } from './values.ts';

/** What frames or routes a message, or belongs to the protocol: from a client it would make the request another one. */
const NEVER =
  /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|host|expect|content-.*|accept|last-event-id|mcp-.*)$/;
/** Credentials and what decides by address: only where they are named twice. */
const SENSITIVE = /^(authorization|proxy-.*|cookie2?|x-upstream-authorization|forwarded|x-forwarded-.*|x-real-ip)$/;

/** What a name means among the headers that pass. Identity is never taken from a request: it is sent as it was proven. */
export type PassThroughKind = 'plain' | 'sensitive' | 'identity' | 'never';

/** The headers that the configuration gives a meaning to. */
export interface TrustedNames {
  readonly secretHeader: string;
  readonly userHeader?: string | undefined;
  readonly headers: Readonly<Partial<Record<'email' | 'name' | 'groups' | 'payload', string | undefined>>>;
}

export function passThroughKind(name: string, { secretHeader, userHeader, headers }: TrustedNames): PassThroughKind {
  const folded = foldHeaderName(name);
  if (NEVER.test(folded)) return 'never';
  if (folded === foldHeaderName(secretHeader) || SENSITIVE.test(folded)) return 'sensitive';
  const own = [userHeader, headers.email, headers.name, headers.groups, headers.payload];
  const kind = classifyHeader(name, new Set(own.flatMap((text) => (text === undefined ? [] : [foldHeaderName(text)]))));
  if (kind === 'none') return 'plain';
  return kind === 'foreign' ? 'sensitive' : 'identity';
}

export const passThroughNames = (description: string) => z.array(headerName).max(64).default([]).meta({ description });

export const passThrough = optionalSection('hand headers of the client on to the MCP servers', {
  headers: passThroughNames('headers handed on to every server'),
  allowSensitive: passThroughNames(
    'credentials and foreign identity headers among them that are meant: without being named here as well they are refused',
  ),
  maxValue: size('the value of one such header').prefault('4KiB'),
});

interface Listed {
  readonly passthrough: readonly string[];
  readonly allowSensitive: readonly string[];
}

interface Named {
  readonly passthrough: z.output<typeof passThrough>;
  readonly trust: TrustedNames;
  readonly servers: Readonly<Record<string, Listed>>;
}

/** Names that must not pass, or not without being named twice. */
export function checkPassThrough({ passthrough, trust, servers }: Named, context: z.RefinementCtx): void {
  const check = (names: readonly string[], twice: readonly string[], path: readonly (string | number)[]) => {
    const meant = new Set(twice.map((name) => name.toLowerCase()));
    for (const [index, name] of names.entries()) {
      const kind = passThroughKind(name, trust);
      const message =
        kind === 'never'
          ? `${name} cannot be handed on: it belongs to one connection or to the protocol`
          : kind === 'sensitive' && !meant.has(name.toLowerCase())
            ? `${name} is a credential or an identity: add it to allowSensitive as well if servers may see it`
            : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['relay', ...path, index], message });
    }
  };
  check(passthrough.headers, passthrough.allowSensitive, ['passthrough', 'headers']);
  for (const [name, server] of Object.entries(servers)) {
    check(server.passthrough, server.allowSensitive, ['servers', name, 'passthrough']);
    if (server.passthrough.length > 0 && !passthrough.enabled)
      context.addIssue({
        code: 'custom',
        path: ['relay', 'servers', name, 'passthrough'],
        message: 'needs the section relay.passthrough (ENABLE_HEADER_PASSTHROUGH=true)',
      });
  }
}
