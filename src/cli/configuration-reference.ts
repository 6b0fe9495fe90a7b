import { GUIDE_VARIABLES } from '../platform/config/environment.ts';
import { EXAMPLES } from '../platform/config/examples.ts';
import { type ConfigKey, configKeys } from '../platform/config/keys.ts';
import { OPEN_TELEMETRY_VARIABLES } from '../platform/config/open-telemetry-environment.ts';

const INTRODUCTION = `<!-- Made by \`npm run docs\` from the schema; a test fails where the two differ. -->
# Configuration

One YAML file, \`--config FILE\` or \`POSTERN_CONFIG\`, by default \`./postern.yaml\`. Unknown keys are refused. Each key can be
set by environment instead, which wins over the file; lists are separated by commas or written as JSON, maps are JSON.
\`postern check\` names what is wrong and the fix. Its lines \`note:\` report no fault: a section that is on because it is there,
or a Postern that runs with another file.

A section whose sentence ends in "on if the section is there" is off until it stands in the file; an empty one (\`chain: {}\`)
turns it on with its defaults. \`enabled: true\` in it is still read for one release, with a warning.

A _secret_ can come from a file instead: its twin \`…Path\` names one, or append \`_FILE\` to its environment name.

Durations are written \`500ms\`, \`30s\`, \`15m\`, \`8h\`, \`7d\`; sizes \`512B\`, \`64KiB\`, \`4MiB\`. A dash says that there is no
default. Names without the prefix \`POSTERN_\` are those of ContextForge's proxy-authentication guide and of OpenTelemetry.`;

/** Names by which the guide sets the relay's address; the reader treats them as one. */
const GUIDE_LISTEN = ['HOST', 'PORT'];

/** Every key as Markdown, one table a section, from the schema. */
export function configurationReference(): string {
  const sections = new Map<string, ConfigKey[]>();
  for (const key of configKeys()) {
    const parent = key.path.includes('.') ? key.path.slice(0, key.path.lastIndexOf('.')) : '';
    const name = parent === 'log' ? '' : parent;
    sections.set(name, [...(sections.get(name) ?? []), key]);
  }
  return [INTRODUCTION, ...[...sections].map(([name, keys]) => table(name, keys))].join('\n\n');
}

function table(section: string, keys: readonly ConfigKey[]): string {
  const about = keys[0]?.section ?? '';
  const example = section === '' ? EXAMPLES.general : Object.entries(EXAMPLES).find(([name]) => name === section)?.[1];
  return [
    `## ${section === '' ? 'General' : `\`${section}\``}`,
    '',
    ...(about === '' ? [] : [sentence(about), '']),
    ...(example === undefined ? [] : ['```yaml', example, '```', '']),
    '| Key | Environment | Default | Meaning |',
    '|---|---|---|---|',
    ...keys.map((key) => `| ${[`\`${key.path}\``, environment(key), defaultValue(key), meaning(key)].join(' | ')} |`),
  ].join('\n');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function environment(key: ConfigKey): string {
  const others = Object.entries({ ...GUIDE_VARIABLES, ...OPEN_TELEMETRY_VARIABLES })
    .filter(([, path]) => path === key.path)
    .map(([name]) => name);
  const names = [key.env, ...others, ...(key.path === 'relay.listen' ? GUIDE_LISTEN : [])];
  return (
    names
      .filter((name) => name !== undefined)
      .map((name) => `\`${name}\``)
      .join(', ') || '–'
  );
}

function defaultValue(key: ConfigKey): string {
  if (key.required) return '_required_';
  if (key.default === undefined) return '–';
  return `\`${typeof key.default === 'string' ? key.default : JSON.stringify(key.default)}\``;
}

function meaning(key: ConfigKey): string {
  const allowed = key.allowed === undefined ? '' : `one of ${key.allowed.map((value) => `\`${value}\``).join(', ')}`;
  return [key.secret ? '_secret_' : '', key.description, allowed, key.restart ? '_needs a restart_' : '']
    .filter((part) => part !== '')
    .join('; ')
    .replaceAll('|', '\\|');
}
