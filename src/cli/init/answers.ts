import type { z } from 'zod';
import { isLoopback, isPlainOffLoopback } from '../../platform/addresses.ts';
import { ANYONE_SIGNED_IN } from '../../platform/config/anyone-signed-in.ts';
import { type HostAndPort, parseAddress, withoutBrackets } from '../../platform/config/host-and-port.ts';
import { messageOf } from '../../platform/config/issue-texts.ts';
import { serverName } from '../../platform/config/relay-schema.ts';
import { upstreamServer } from '../../platform/config/server-schema.ts';
import { httpUrl } from '../../platform/config/values.ts';
import { nearName } from '../../platform/near-name.ts';
import { addressText, EXAMPLE_ADDRESS, PROVIDERS, PROXIES, type ProviderChoice, type ProxyChoice } from './choices.ts';
import { type Ask, type Prompt, WrongAnswer } from './prompts.ts';

export interface Server {
  readonly url?: string;
  readonly command?: string;
  readonly args?: readonly string[];
}

/** All that a folder is written from. */
export interface Answers {
  readonly proxy: string;
  readonly provider: string;
  readonly issuer: string | undefined;
  readonly clientId: string;
  /** Undefined: it has none. */
  readonly clientSecret: string | undefined;
  readonly publicUrl: string;
  /** Where the proxy itself listens; undefined: a cluster says so. */
  readonly listen: HostAndPort | undefined;
  readonly servers: ReadonlyMap<string, Server>;
  /** Whose members may use the servers: groups, or domains of addresses where the provider names no groups. */
  readonly members: typeof ANYONE_SIGNED_IN | readonly string[];
  /** Whether those are app roles in the place of groups. */
  readonly roles: boolean;
}

const DEFAULT_PUBLIC_URL = `http://${addressText(EXAMPLE_ADDRESS)}`;

/** Asks for everything, in the order in which a person knows it. */
/** @param askSecret asks for the secret of the client, not shown */
export async function askAll(ask: Ask, askSecret: () => Promise<string | undefined>): Promise<Answers> {
  const proxy = await ask.one(choice('proxy', 'Your reverse proxy', PROXIES));
  const provider = await ask.one(choice('provider', 'Your identity provider', PROVIDERS));
  const { issuer: asked, groups } = PROVIDERS[provider] as ProviderChoice;
  if (asked === undefined) ask.refuse('issuer', `${provider} has one issuer for everybody: leave it out`);
  ask.refuse(
    groups ? 'domains' : 'groups',
    groups ? `goes with google` : `${provider} names no groups: give --domains`,
  );
  const inCluster = (PROXIES[proxy] as ProxyChoice).start === undefined;
  if (inCluster) ask.refuse('listen', `the gateway of the mesh listens in the place of ${proxy}`);
  const issuer = asked === undefined ? undefined : await ask.one(issuerPrompt(provider, asked));
  const clientId = await ask.one({
    option: 'client-id',
    text: 'Id of the client that you made there for Postern',
    read: text,
  });
  const clientSecret = await askSecret();
  const publicUrl = await ask.one(publicUrlPrompt(inCluster ? undefined : DEFAULT_PUBLIC_URL));
  return {
    proxy,
    provider,
    issuer,
    clientId,
    clientSecret,
    publicUrl,
    listen: inCluster ? undefined : await ask.one(listenPrompt(publicUrl)),
    servers: new Map(await ask.several(SERVER)),
    ...(await askMembers(ask, PROVIDERS[provider] as ProviderChoice)),
  };
}

async function askMembers(
  ask: Ask,
  { groups, objectIds }: ProviderChoice,
): Promise<Pick<Answers, 'members' | 'roles'>> {
  if (objectIds) return await ask.one(GROUP_IDS_OR_ROLES);
  return { members: await ask.one(groups ? GROUPS : DOMAINS), roles: false };
}

function choice(option: string, text: string, choices: Readonly<Record<string, { title: string }>>): Prompt<string> {
  const names = Object.keys(choices);
  return {
    option,
    text: `${text}: ${names.join(', ')}`,
    read: (given) => {
      const name = given.toLowerCase();
      if (Object.hasOwn(choices, name)) return name;
      const near = nearName(name, names);
      const fix = near === undefined ? 'write one of these names' : `did you mean ${near}?`;
      throw new WrongAnswer(`"${given}" is none of ${names.join(', ')}; ${fix}`);
    },
  };
}

function text(given: string): string {
  if (given === '' || /\s/.test(given)) throw new WrongAnswer('must be a text without spaces');
  return given;
}

/** What the configuration's own schema says of a value. */
function checked(schema: z.ZodType, value: unknown): void {
  const [issue] = schema.safeParse(value).error?.issues ?? [];
  if (issue !== undefined) throw new WrongAnswer(messageOf(issue));
}

function issuerPrompt(provider: string, asked: string): Prompt<string> {
  return {
    option: 'issuer',
    text: asked,
    read: (given) => {
      const issuer = PROVIDERS[provider]?.issuerOf?.(given) ?? given;
      checked(httpUrl('issuer'), issuer);
      return issuer;
    },
  };
}

function publicUrlPrompt(fallback: string | undefined): Prompt<string> {
  return {
    option: 'public-url',
    text: 'Address at which clients reach the proxy, such as https://mcp.example.com',
    fallback,
    read: (given) => {
      checked(httpUrl('address'), given);
      const { origin } = new URL(given);
      if (given.replace(/\/$/, '') !== origin)
        throw new WrongAnswer(`must be an address without a path, such as ${origin}`);
      if (isPlainOffLoopback(origin)) throw new WrongAnswer('must be https: browsers keep no session at plain http');
      return origin;
    },
  };
}

/** Below these a program needs a privilege that the proxy's container does not have. */
const FIRST_FREE_PORT = 1024;

function listenPrompt(publicUrl: string): Prompt<HostAndPort> {
  const { protocol, hostname, port } = new URL(publicUrl);
  const isOwn = protocol === 'http:' && isLoopback(withoutBrackets(hostname)) && Number(port) >= FIRST_FREE_PORT;
  return {
    option: 'listen',
    text: 'Address at which the proxy itself listens, HOST:PORT; 0.0.0.0 is every address of this machine',
    fallback: addressText(
      isOwn
        ? { host: hostname === 'localhost' ? '127.0.0.1' : withoutBrackets(hostname), port: Number(port) }
        : EXAMPLE_ADDRESS,
    ),
    read: (given) => {
      const read = parseAddress(given);
      if (read === undefined) throw new WrongAnswer('must be HOST:PORT, such as 0.0.0.0:8443 or [::1]:8080');
      if (read.port < FIRST_FREE_PORT)
        throw new WrongAnswer(
          `needs a port of ${FIRST_FREE_PORT} or more, because the proxy runs without privileges: have ${read.port} led there`,
        );
      const taken = OWN_PORTS[read.port];
      if (taken !== undefined) throw new WrongAnswer(`port ${read.port} is that of ${taken}: give another`);
      return read;
    },
  };
}

/** Of the processes in the same folder. */
const OWN_PORTS: Readonly<Record<number, string>> = {
  4180: 'forward-auth',
  4181: 'forward-auth’s gRPC',
  4444: 'the relay',
  9464: 'forward-auth’s health and metrics',
  9465: 'the relay’s health and metrics',
};

const SERVER: Prompt<readonly [string, Server]> = {
  option: 'server',
  text: 'An MCP server by name: github=http://github-mcp:3000/mcp, or a program: files=npx -y @acme/files /data',
  read: (given) => {
    const [, name = '', target = ''] = /^([^=\s]*)=(.*)$/s.exec(given) ?? [];
    if (name === '' || target.trim() === '')
      throw new WrongAnswer('must be NAME=URL or NAME=PROGRAM ARGUMENTS, and NAME has no space');
    checked(serverName, name);
    const server = readServer(target.trim());
    checked(upstreamServer, server);
    return [name, server];
  },
};

function readServer(target: string): Server {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(target)) return { url: target };
  if (/["'\\]/.test(target))
    throw new WrongAnswer(
      'no shell reads quotes: leave them out, and write such arguments into postern.yaml afterwards',
    );
  const [command = '', ...args] = target.split(/\s+/);
  return { command, args };
}

const list = (given: string) => given.split(',').map((item) => item.trim());

const GROUPS: Prompt<Answers['members']> = {
  option: 'groups',
  text: `Groups whose members may use the servers, with commas between; or ${ANYONE_SIGNED_IN}`,
  read: (given) => {
    if (given === ANYONE_SIGNED_IN) return ANYONE_SIGNED_IN;
    if (list(given).includes('')) throw new WrongAnswer(`must be names of groups, or ${ANYONE_SIGNED_IN}`);
    return list(given);
  },
};

const ROLES = 'roles:';
const OBJECT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const GROUP_IDS_OR_ROLES: Prompt<Pick<Answers, 'members' | 'roles'>> = {
  option: 'groups',
  text: `Object ids of groups whose members may use the servers, with commas between; or ${ROLES} and app roles, such as ${ROLES}mcp-user; or ${ANYONE_SIGNED_IN}`,
  read: (given) => {
    if (given === ANYONE_SIGNED_IN) return { members: ANYONE_SIGNED_IN, roles: false };
    const roles = given.startsWith(ROLES);
    const members = list(roles ? given.slice(ROLES.length) : given);
    const named = members.find((member) => !OBJECT_ID.test(member));
    if (members.includes('') || (roles && members.some((member) => /\s/.test(member))))
      throw new WrongAnswer(
        `must be object ids of groups, ${ROLES} and values of app roles without spaces, or ${ANYONE_SIGNED_IN}`,
      );
    if (!roles && named !== undefined)
      throw new WrongAnswer(
        `"${named}" is not an object id, such as 22222222-2222-2222-2222-222222222222: Entra sends ids of groups, not names. App roles have names: ${ROLES}${members.join(',')}`,
      );
    return { members, roles };
  },
};

const DOMAINS: Prompt<readonly string[]> = {
  option: 'domains',
  text: 'Domains of the addresses of people who may sign in, with commas between, such as example.com',
  read: (given) => {
    if (!list(given).every((domain) => /^[^@\s]+\.[^@\s]+$/.test(domain)))
      throw new WrongAnswer('must be domains without @, such as example.com');
    return list(given);
  },
};
