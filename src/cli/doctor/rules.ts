import { isDeepStrictEqual } from 'node:util';
import { unstatedPolicy } from '../../platform/config/rule-statements.ts';
import type { Config, RuleConfig } from '../../platform/config/schema.ts';
import { nameGlob } from '../../platform/name-glob.ts';
import { type Finding, findingOf, warn } from './finding.ts';

/** Rules that are not there, that speak of servers which are not there, and that never decide. */
export function ruleFindings(config: Config): Finding[] {
  return [...withoutRules(config), ...withoutPolicy(config), ...unknownServers(config), ...shadowed(config.auth.rules)];
}

function withoutRules({ auth }: Config): Finding[] {
  if (auth.rules.length > 0 || auth.providers.length === 0) return [];
  return [
    warn(
      'auth.rules',
      'there is no rule, so forward-auth refuses every request',
      'write rules that say who may what, such as `- match: { path: /servers/NAME/** }` with `allow`',
    ),
  ];
}

function withoutPolicy({ relay }: Config): Finding[] {
  const message = unstatedPolicy(relay);
  return message === undefined ? [] : [findingOf('warn', message)];
}

function unknownServers({ auth, relay, audit }: Config): Finding[] {
  const servers = Object.keys(relay.servers);
  const known = servers.length === 0 ? 'there is none' : `there are ${servers.join(', ')}`;
  const unknown = (key: string, name: string) =>
    warn(key, `no server of relay.servers is "${name}" (${known})`, 'correct the name, or add the server');
  const found = auth.rules.flatMap(({ match }, index) => {
    const named = /^\/servers\/([^/]+)(?:\/|$)/.exec(match.path ?? '')?.[1];
    if (named === undefined || servers.some(nameGlob(named))) return [];
    return named.includes('*') && servers.length === 0 ? [] : [unknown(`auth.rules[${index}].match.path`, named)];
  });
  const lists: Array<readonly [string, readonly string[]]> = [
    ['relay.pins.servers', relay.pins.servers],
    ['relay.policy.readOnly', relay.policy?.readOnly ?? []],
    ...relay.callLimits.map(({ servers }, i) => [`relay.callLimits[${i}].servers`, servers] as const),
    ...relay.rateLimits.map(({ servers }, i) => [`relay.rateLimits[${i}].servers`, servers] as const),
    ...audit.arguments.map(({ servers }, i) => [`audit.arguments[${i}].servers`, servers] as const),
  ];
  for (const [key, globs] of lists)
    for (const [index, glob] of globs.entries())
      if (glob !== '*' && !servers.some(nameGlob(glob))) found.push(unknown(`${key}[${index}]`, glob));
  return found;
}

function shadowed(rules: readonly RuleConfig[]): Finding[] {
  return rules.flatMap((rule, index) => {
    const earlier = rules.slice(0, index).findIndex((candidate) => covers(candidate.match, rule.match));
    if (earlier === -1) return [];
    return [
      warn(
        `auth.rules[${index}]`,
        `never decides, because auth.rules[${earlier}] comes first and matches all that it matches`,
        'put the narrower rule first, or remove one',
      ),
    ];
  });
}

type Match = RuleConfig['match'];

function covers(earlier: Match, later: Match): boolean {
  if (earlier.context !== undefined && !isDeepStrictEqual(earlier.context, later.context)) return false;
  if (earlier.methods !== undefined && !later.methods?.every((method) => earlier.methods?.includes(method)))
    return false;
  return coversHost(earlier.host, later.host) && coversPath(earlier.path, later.path);
}

function coversHost(earlier: string | undefined, later: string | undefined): boolean {
  if (earlier === undefined || earlier === later) return true;
  if (later === undefined || /[*:]/.test(later)) return false;
  return earlier.startsWith('*.') && earlier.slice(1) === later.slice(later.indexOf('.'));
}

/** Segment by segment; what cannot be told for certain does not count. */
function coversPath(earlier: string | undefined, later: string | undefined): boolean {
  if (earlier === undefined || earlier === later) return true;
  if (later === undefined) return false;
  const deep = earlier.endsWith('/**');
  if (!deep && later.endsWith('/**')) return false;
  const wide = earlier.replace(/\/\*\*$/, '').split('/');
  const narrow = later.replace(/\/\*\*$/, '').split('/');
  if (deep ? narrow.length < wide.length : narrow.length !== wide.length) return false;
  return wide.every((part, index) => part === '*' || part === narrow[index]);
}
