import type { TrustConfig } from '../../../platform/config/trust-schema.ts';
import { type HeaderNames, namesOf, readPlain } from './plain-headers.ts';
import { ABSENT, type Lookup, type Preset, type Reading, refused } from './preset.ts';

/** Names of one family, with which field tells people apart. */
function family(prefix: string, field: string): HeaderNames & { readonly prefix: string } {
  return {
    prefix,
    user: `${prefix}-${field}`,
    username: `${prefix}-Preferred-Username`,
    email: `${prefix}-Email`,
    name: `${prefix}-Preferred-Username`,
    groups: `${prefix}-Groups`,
  };
}

/**
 * oauth2-proxy. As an authorizer its answer has `X-Auth-Request-*` (`--set-xauthrequest`), as a reverse proxy it sends
 * `X-Forwarded-*` (`--pass-user-headers`). It removes what clients send of the family that it writes, not of the other:
 * so one request is read in one family only, and the other may but repeat it.
 */
export function oauth2Proxy(trust: TrustConfig): Preset {
  const field = /-(Email|Preferred-Username)$/i.exec(trust.userHeader ?? '')?.[1] ?? 'User';
  const all = [family('X-Auth-Request', field), family('X-Forwarded', field)] as const;
  const wanted = all.filter(
    ({ prefix }) => trust.headers.family === undefined || prefix.toLowerCase() === trust.headers.family,
  );
  return {
    userHeader: wanted.map(({ user }) => user).join(' or '),
    // The other one too: an alias of it is as little honest.
    names: all.flatMap((names) => [...namesOf(names), `${names.prefix}-User`]),
    read: (get) => {
      const present = wanted.filter(({ user }) => has(get, user));
      const [chosen = wanted[0], second] = present;
      if (chosen === undefined) return ABSENT;
      const others = all.filter((names) => names !== chosen).flatMap(namesOf);
      if (second !== undefined && disagree(get, chosen, second)) return twoFamilies(chosen.prefix, second.prefix);
      // Without a second user its other headers belong to nobody: a client added groups to the proxy's user.
      if (second === undefined && wanted.length === 2 && others.some((name) => has(get, name)))
        return twoFamilies(chosen.prefix, (chosen === all[0] ? all[1] : all[0]).prefix);
      return readPlain({ ...chosen, cookieSessions: true }, get);
    },
  };
}

function has(get: Lookup, header: string | undefined): boolean {
  return header !== undefined && (get(header.toLowerCase()) ?? '').trim() !== '';
}

function disagree(get: Lookup, one: HeaderNames, other: HeaderNames): boolean {
  return (['user', 'email', 'name', 'groups'] as const).some((field) => {
    const values = [one[field], other[field]].map((header) => get(header?.toLowerCase() ?? '')?.trim() ?? '');
    return values[0] !== values[1];
  });
}

function twoFamilies(one: string, other: string): Reading {
  return refused(
    'identity_conflict',
    `${one}-* and ${other}-* say different things: the proxy sends one of them and a client the other; set relay.trust.headers.family`,
  );
}
