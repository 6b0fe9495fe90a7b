import { PRESET_HEADERS } from '../../src/identity/presets.ts';
import { EMITTED_NAMES, FAMILIES, KNOWN_MEMBERS, OVERRIDES } from './edge-headers.ts';

/** Lines of a configuration, without their indentation. */
export type Lines = readonly string[];

/** Traefik writes its own view into it, over a client's. */
const TRAEFIK_SETS = ['X-Real-Ip'];

/**
 * Traefik deletes from a request what this matches, and then sets what the answer holds of it. It knows names by their
 * canonical case.
 *
 * @param answers families of the system that answers, of which it passes on whole names only
 */
export function traefikPattern(answers: Readonly<Record<string, readonly string[]>> = {}): string {
  const families = FAMILIES.filter((family) => answers[family] === undefined);
  const members = Object.entries(answers).flatMap(([family, names]) => names.map((name) => `${family}-${name}`));
  const removed = OVERRIDES.filter((name) => !TRAEFIK_SETS.includes(name));
  return `^((${families.join('|')})-|(${[...members, ...EMITTED_NAMES, ...removed].join('|')})$)`;
}

export const caddyRemovals: Lines = [
  ...FAMILIES.map((family) => `request_header -${family}-*`),
  ...[...EMITTED_NAMES, ...OVERRIDES].map((name) => `request_header -${name}`),
];

/** All that begins with `x-forwarded-` is removed there by one line. */
export const haproxyRemovals: Lines = [
  ...FAMILIES.map((family) => `http-request del-header ${family.toLowerCase()}- -m beg`),
  ...OVERRIDES.filter((name) => !name.startsWith('X-Forwarded-')).map(
    (name) => `http-request del-header ${name.toLowerCase()}`,
  ),
];

/** What of an answer goes on: families, and whole names. */
export const haproxyAnswers: Lines = [
  `local FAMILIES = { ${FAMILIES.map((family) => `"${family.toLowerCase()}-"`).join(', ')} }`,
  'local NAMES = {',
  ...EMITTED_NAMES.map((name) => `  ["${name.toLowerCase()}"] = true,`),
  '}',
];

/** Every character that is no letter or digit is the same one to some server, and Envoy takes all that a name may hold. */
const folded = (name: string) => name.toLowerCase().replaceAll('-', '[^a-z0-9]');
const remove = (regex: string): Lines => [
  '- remove_on_match:',
  '    key_matcher:',
  `      safe_regex: { regex: "${regex}" }`,
];

/** One for each family or name, because Envoy bounds the size of one expression. */
export const envoyRemovals: Lines = [
  ...FAMILIES.flatMap((family) => remove(`${folded(family)}[^a-z0-9].*`)),
  ...[...EMITTED_NAMES, ...OVERRIDES].flatMap((name) => remove(folded(name))),
  // `Mcp.Name` beside `Mcp-Name`: forward-auth is shown, and judges, what begins with `Mcp-`.
  ...remove('mcp[^a-z0-9-].*'),
];

export const envoyAnswers: Lines = [
  ...FAMILIES.map((family) => `- prefix: ${family.toLowerCase()}-`),
  ...EMITTED_NAMES.map((name) => `- exact: ${name.toLowerCase()}`),
];

export const istioAnswers: Lines = [
  ...FAMILIES.map((family) => `- ${family.toLowerCase()}-*`),
  ...EMITTED_NAMES.map((name) => `- ${name.toLowerCase()}`),
];

/** After the check, so only what no answer holds. */
export const gatewayRemovals: Lines = OVERRIDES.map((name) => `- ${name.toLowerCase()}`);

/** nginx can remove whole names only. */
export const nginxRemovals: Lines = [...KNOWN_MEMBERS, ...OVERRIDES].map((name) => `proxy_set_header ${name} "";`);

export const nginxEmitted: Lines = [
  ...new Set(Object.values(PRESET_HEADERS).flatMap((names) => names.map(([name]) => name))),
].flatMap((name) => {
  const variable = name.toLowerCase().replaceAll('-', '_');
  return [
    `auth_request_set $postern_${variable} $upstream_http_${variable};`,
    `proxy_set_header ${name} $postern_${variable};`,
  ];
});
