import { randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { stringify } from 'yaml';
import { type Command, optionalText, UsageError } from './command.ts';
import { writeNewFiles } from './new-files.ts';

/** File or key of a Secret, by the setting whose value it holds. */
const FILES = {
  POSTERN_RELAY_TRUST_SECRET: 'relay-trust-secret',
  POSTERN_RELAY_SESSION_KEY: 'relay-session-key',
  POSTERN_AUTH_ASSERTION_KEYS: 'assertion-keys',
  POSTERN_AUTH_SESSIONS_KEYS: 'session-keys',
  POSTERN_WATCH_KEY: 'watch-key',
  POSTERN_AUTH_OPERATOR_TOKEN: 'auth-operator-token',
  POSTERN_RELAY_OPERATOR_TOKEN: 'relay-operator-token',
} as const;

/** Keys whose file a running process reads again where its path is configured; by value they need a restart. */
const READ_AGAIN = new Set(['POSTERN_RELAY_SESSION_KEY', 'POSTERN_AUTH_ASSERTION_KEYS', 'POSTERN_AUTH_SESSIONS_KEYS']);

/** New secrets by the variables that set them. */
export type Made = Readonly<Record<keyof typeof FILES, string>>;

export const secrets: Command = {
  summary: 'make the secrets and keys that a production set-up needs',
  usage: 'postern secrets [--format env|yaml | --dir DIR [--group GID] | --kubernetes [--name NAME] | --env-file]',
  help: `Prints new ones each time: the secret that the proxy and the relay share, the keys that seal MCP session ids and
browser sessions, the key that signs assertions, the key that seals what the watch keeps in Redis, and the operator's tokens. Standard output holds nothing else: postern secrets > postern.env

  --format env|yaml   environment lines for a shell or Compose (default), or the part of postern.yaml
  --dir DIR           one file each, for their owner alone (0600), and the variables that name them; replaces no file
  --group GID         with --dir: the files belong to this group, which may read them too (0640)
  --kubernetes        a Secret for kubectl apply -f -, and the chart's values as a comment
  --name NAME         with --kubernetes: name of the Secret (default postern-secrets)
  --env-file          lines without quotes, as docker run --env-file takes them`,
  options: {
    format: { type: 'string' },
    dir: { type: 'string' },
    group: { type: 'string' },
    kubernetes: { type: 'boolean' },
    name: { type: 'string' },
    'env-file': { type: 'boolean' },
  },
  values: { format: ['env', 'yaml'] },
  positionals: [0, 0],
  async run(line, terminal) {
    const forms = ['format', 'dir', 'kubernetes', 'env-file'].filter((name) => line.values[name] !== undefined);
    if (forms.length > 1) throw new UsageError(`give only one of --${forms.join(' and --')}`);
    const [group, name] = [optionalText(line, 'group'), optionalText(line, 'name')];
    if (group !== undefined && (forms[0] !== 'dir' || !/^\d{1,9}$/.test(group)))
      throw new UsageError('--group is the number of a group (getent group NAME), and goes with --dir');
    if (name !== undefined && (forms[0] !== 'kubernetes' || !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)))
      throw new UsageError(
        '--name is a name of Kubernetes (lower-case letters, digits, - and .), and goes with --kubernetes',
      );
    const format = optionalText(line, 'format') ?? 'env';
    if (format !== 'env' && format !== 'yaml') throw new UsageError(`--format is env or yaml, not ${format}`);
    const directory = optionalText(line, 'dir');
    if (directory === '') throw new UsageError('--dir needs a folder');
    const made = await makeSecrets();
    if (directory !== undefined) {
      const [mode, own] = group === undefined ? [0o700, 0o600] : [0o750, 0o640];
      const files = Object.entries(namedByFile(made)).map(
        ([file, value]) => [file, { content: `${value}\n`, mode: own }] as const,
      );
      const paths = writeNewFiles(directory, Object.fromEntries(files), {
        command: 'secrets',
        mode,
        group: group === undefined ? undefined : Number(group),
      });
      terminal.printError(
        `Only ${group === undefined ? 'the owner of the files' : `their owner and group ${group}`} can read them: the processes (user 1000 in the image) ` +
          'must be that, or chown the files; the proxy needs relay-trust-secret.',
      );
      terminal.print(
        Object.entries(FILES)
          .map(([variable, file]) => `${variable}_${READ_AGAIN.has(variable) ? 'PATH' : 'FILE'}=${paths[file]}`)
          .join('\n'),
      );
    } else if (line.values.kubernetes === true) terminal.print(kubernetesSecret(made, name ?? 'postern-secrets'));
    else if (line.values['env-file'] === true) terminal.print(environment(made, (text) => text));
    else if (format === 'yaml') terminal.print(configuration(made));
    else
      terminal.print(
        [
          '# Keep these out of version control. The proxy sends the first as X-Postern-Proxy-Secret.',
          shellEnvironment(made),
        ].join('\n'),
      );
    return 0;
  },
};

export async function makeSecrets(): Promise<Made> {
  const random = () => randomBytes(32).toString('base64url');
  return {
    POSTERN_RELAY_TRUST_SECRET: random(),
    POSTERN_RELAY_SESSION_KEY: random(),
    POSTERN_AUTH_ASSERTION_KEYS: JSON.stringify({ keys: [await assertionKey()] }),
    POSTERN_AUTH_SESSIONS_KEYS: random(),
    POSTERN_WATCH_KEY: random(),
    POSTERN_AUTH_OPERATOR_TOKEN: random(),
    POSTERN_RELAY_OPERATOR_TOKEN: random(),
  };
}

function namedByFile(made: Made): Record<string, string> {
  return Object.fromEntries(Object.entries(FILES).map(([variable, file]) => [file, made[variable as keyof Made]]));
}

/** Lines for a shell and for Compose. */
export function shellEnvironment(made: Made): string {
  return environment(made, (text) => (/^[\w-]+$/.test(text) ? text : `'${text}'`));
}

function environment(made: Made, quoted: (text: string) => string): string {
  return Object.entries(made)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join('\n');
}

function kubernetesSecret(made: Made, name: string): string {
  const values = stringify({ secrets: { existingSecret: name, files: FILES } }).trimEnd();
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'Opaque',
    stringData: namedByFile(made),
  };
  return `# Values of the chart:\n${values.replace(/^/gm, '# ')}\n${stringify(secret, { lineWidth: 0 }).trimEnd()}`;
}

function configuration(made: Made): string {
  return stringify(
    {
      auth: {
        assertion: { keys: made.POSTERN_AUTH_ASSERTION_KEYS },
        sessions: { keys: made.POSTERN_AUTH_SESSIONS_KEYS },
        operatorToken: made.POSTERN_AUTH_OPERATOR_TOKEN,
      },
      relay: {
        trust: { secret: made.POSTERN_RELAY_TRUST_SECRET },
        sessionKey: made.POSTERN_RELAY_SESSION_KEY,
        operatorToken: made.POSTERN_RELAY_OPERATOR_TOKEN,
      },
      watch: { key: made.POSTERN_WATCH_KEY },
    },
    { lineWidth: 0 },
  ).trimEnd();
}

/** A private ES256 key with the thumbprint (RFC 7638) as its id. */
async function assertionKey(): Promise<object> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
}
