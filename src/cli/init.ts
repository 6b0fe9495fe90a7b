import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { loadConfig, parseConfig } from '../platform/config/load.ts';
import { unreadable } from '../platform/unreadable.ts';
import { type Command, type CommandLine, optionalText, type Terminal, UsageError } from './command.ts';
import { findingText } from './doctor/finding.ts';
import { inspect } from './doctor/inspection.ts';
import { type Answers, askAll } from './init/answers.ts';
import { PROVIDERS, PROXIES } from './init/choices.ts';
import { CLIENT_SECRET } from './init/configuration.ts';
import { folderFiles } from './init/folder.ts';
import { askBy, endedEarly } from './init/prompts.ts';
import { type NewFile, writeNewFiles } from './new-files.ts';

/** User and group of the image, for files that root writes. */
const IMAGE_USER = 1000;

export const init: Command = {
  summary: 'ask for proxy, provider and servers, and write a folder that runs Postern with them',
  usage: 'postern init [--dir DIR] [options]',
  help: `Writes postern.yaml for both processes, the proxy's configuration, new secrets that only their owner can read, a compose
file and a README with what to do next. Asks for what no option says; without a terminal all but those with a default are needed.

  --dir DIR                   the folder (./postern)
  --proxy NAME                ${Object.keys(PROXIES).join(', ')}
  --provider NAME             ${Object.keys(PROVIDERS).join(', ')}
  --issuer URL                of the provider; entra: the id of the directory; google has one for everybody
  --client-id ID              of the client that you made at the provider
  --client-secret-file FILE   with its secret; absent: asked at a terminal, otherwise it has none
  --public-url URL            where clients reach the proxy (http://127.0.0.1:8080)
  --listen HOST:PORT          where the proxy itself listens (127.0.0.1:8080, or the public URL's if that is loopback)
  --server NAME=URL           an MCP server, or NAME=PROGRAM ARGUMENTS; repeat it for each
  --groups A,B                whose members may use the servers, or anyone-signed-in; with entra object ids, or roles:A,B
  --domains A,B               with google, which names no groups: domains of addresses that may sign in
  --force                     replace files of the folder; its secrets stay`,
  options: {
    dir: { type: 'string' },
    proxy: { type: 'string' },
    provider: { type: 'string' },
    issuer: { type: 'string' },
    'client-id': { type: 'string' },
    'client-secret-file': { type: 'string' },
    'public-url': { type: 'string' },
    listen: { type: 'string' },
    server: { type: 'string', multiple: true },
    groups: { type: 'string' },
    domains: { type: 'string' },
    force: { type: 'boolean' },
  },
  values: { proxy: Object.keys(PROXIES), provider: Object.keys(PROVIDERS) },
  positionals: [0, 0],
  async run(line, terminal) {
    const directory = targetFolder(line);
    const questionable = canAsk(line, terminal);
    const given = secretFromFile(line);
    const secret = async () => given ?? (questionable ? await askSecret(terminal) : undefined);
    const answers = await askAll(askBy(line, terminal, questionable), secret);
    const files = await folderFiles(answers, owner().join(':'));
    parseConfig(parse(files['postern.yaml']?.content ?? ''));
    write(directory, files, line);
    await report(directory, answers, files, terminal);
    return 0;
  },
};

/** @throws UsageError where it holds what must not be replaced */
function targetFolder(line: CommandLine): string {
  const directory = optionalText(line, 'dir') ?? 'postern';
  if (directory === '') throw new UsageError('--dir needs a folder');
  if (line.values.force !== true && existsSync(join(directory, 'postern.yaml')))
    throw new UsageError(
      `--dir: ${directory} holds a postern.yaml: name another folder, or replace its files by --force`,
    );
  return directory;
}

/** @returns whether there are questions left and a person to ask. Throws where there is none. */
function canAsk({ values }: CommandLine, terminal: Terminal): boolean {
  const provider = Object.hasOwn(PROVIDERS, String(values.provider)) ? PROVIDERS[String(values.provider)] : undefined;
  const needed = [
    ...['proxy', 'provider', 'client-id', 'server'],
    ...(provider !== undefined && provider.issuer === undefined ? [] : ['issuer']),
    provider?.groups === false ? 'domains' : 'groups',
    ...(values.proxy === 'istio' ? ['public-url'] : []),
  ].filter((option) => values[option] === undefined);
  if (needed.length === 0) return false;
  if (terminal.ask !== undefined) return true;
  throw new UsageError(
    `give ${needed.map((option) => `--${option}`).join(', ')}: there is no terminal at which to ask`,
  );
}

function secretFromFile(line: CommandLine): string | undefined {
  const file = optionalText(line, 'client-secret-file');
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new UsageError(`--client-secret-file: ${unreadable(file, cause)}`);
  }
  if (text === '') throw new UsageError(`--client-secret-file: ${file} is empty`);
  return text;
}

async function askSecret({ ask }: Terminal): Promise<string | undefined> {
  if (ask === undefined) return undefined;
  const given = await ask('Secret of the client (not shown; empty: it has none): ', true);
  if (given === undefined) throw endedEarly();
  return given.trim() || undefined;
}

/** Who will read the secrets: who writes them, but for root. */
function owner(): [user: number, group: number] {
  const [user, group] = [process.getuid?.() ?? IMAGE_USER, process.getgid?.() ?? IMAGE_USER];
  return user === 0 ? [IMAGE_USER, IMAGE_USER] : [user, group];
}

function write(directory: string, files: Record<string, NewFile>, line: CommandLine): void {
  const replace = line.values.force === true;
  // A running deployment goes on with its secrets.
  const kept = replace ? ['.env'].filter((name) => existsSync(join(directory, name))) : [];
  const written = Object.fromEntries(Object.entries(files).filter(([name]) => !kept.includes(name)));
  const [user, group] = process.getuid?.() === 0 ? owner() : [undefined, undefined];
  writeNewFiles(directory, written, { command: 'init', mode: 0o755, owner: user, group, replace });
}

/** What was written, and what `check` says of it. */
async function report(
  directory: string,
  answers: Answers,
  files: Record<string, NewFile>,
  terminal: Terminal,
): Promise<void> {
  const folder = resolve(directory);
  terminal.print(`written to ${folder}: ${Object.keys(files).join(', ')}`);
  // Paths in the configuration are read from its folder.
  const before = process.cwd();
  process.chdir(folder);
  try {
    const loaded = loadConfig('postern.yaml', terminal.env);
    const found = (await inspect(loaded, terminal.env)).map(findingText);
    for (const warning of [...loaded.warnings, ...found]) terminal.printError(`warning: ${warning}`);
  } finally {
    process.chdir(before);
  }
  const secret = CLIENT_SECRET in files ? '' : `, a client without a secret`;
  terminal.print(
    `${PROXIES[answers.proxy]?.title} and ${PROVIDERS[answers.provider]?.title}${secret}: what to do next is in ${join(folder, 'README.md')}`,
  );
}
