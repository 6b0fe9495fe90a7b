import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from './child.ts';
import { freePorts } from './free-port.ts';
import { HttpPerson } from './http-person.ts';
import { startPostern } from './postern-process.ts';
import { CLIENT, type SignInProvider, type SignInProviderOptions, startSignInProvider } from './sign-in-provider.ts';

/** One `postern auth` process. */
export interface Replica {
  readonly url: string;
  readonly internal: string;
  child: Child;
  /** Asks as Traefik does whether a GET of `/app/…` may pass. */
  check(headers: Readonly<Record<string, string>>, path?: string): Promise<Response>;
  restart(): Promise<void>;
}

export interface Gate {
  readonly provider: SignInProvider;
  readonly replicas: readonly Replica[];
  /** The first replica's address is the public one. */
  readonly publicUrl: string;
  /** A person signed in at the public address. @returns the `Cookie` header of their browser */
  signIn(user: string): Promise<{ person: HttpPerson; cookie: string }>;
  stop(): Promise<void>;
}

export const AUDIENCE = 'app-of-the-tests';

/** Several forward-auths with the same configuration, asked directly in the place of a proxy. */
export async function startGate(
  count: number,
  settings: {
    /** More of `auth`, perhaps made from the public address. */
    readonly auth?: object | ((publicUrl: string) => object | Promise<object>);
    /** More beside `auth`. */
    readonly whole?: object;
    /** Of all, or of each replica. */
    readonly redis?: object | ((index: number) => object);
    readonly provider?: SignInProviderOptions;
    /** More environment of each replica. */
    readonly env?: (index: number) => Readonly<Record<string, string>>;
  } = {},
): Promise<Gate> {
  const ports = await freePorts(count * 2);
  const publicUrl = `http://127.0.0.1:${ports[0]}`;
  const provider = await startSignInProvider([publicUrl], settings.provider);
  const folder = await mkdtemp(join(tmpdir(), 'postern-gate-'));
  const started: Child[] = [];
  const stop = async () => {
    for (const child of started) await child.stop();
    await provider.stop();
    await rm(folder, { recursive: true, force: true });
  };
  let more: object = {};
  const start = async (index: number): Promise<Replica> => {
    const [port, internalPort] = [ports[index * 2], ports[index * 2 + 1]] as [number, number];
    const { redis } = settings;
    const file = join(folder, `postern-${index}.yaml`);
    const config = {
      publicUrl,
      auth: {
        listen: `127.0.0.1:${port}`,
        internalListen: `127.0.0.1:${internalPort}`,
        providers: [
          {
            id: 'corp',
            issuer: provider.issuer,
            clientId: CLIENT.id,
            clientSecret: CLIENT.secret,
            scopes: ['openid', 'profile', 'email', 'offline_access'],
            audiences: [AUDIENCE],
          },
        ],
        rules: [{ match: { path: '/app/**' }, allow: { groups: ['engineering'] } }],
        ...more,
      },
      ...(redis === undefined ? {} : { redis: typeof redis === 'function' ? redis(index) : redis }),
      ...settings.whole,
    };
    await writeFile(file, JSON.stringify(config));
    const run = async () => {
      const child = await startPostern('auth', file, internalPort, settings.env?.(index));
      started.push(child);
      return child;
    };
    const replica: Replica = {
      url: `http://127.0.0.1:${port}`,
      internal: `http://127.0.0.1:${internalPort}`,
      child: await run(),
      check: (headers, path = '/app/') =>
        fetch(`http://127.0.0.1:${port}/verify/traefik`, {
          redirect: 'manual',
          headers: {
            'X-Forwarded-Method': 'GET',
            'X-Forwarded-Proto': 'http',
            'X-Forwarded-Host': new URL(publicUrl).host,
            'X-Forwarded-Uri': path,
            'X-Forwarded-For': '127.0.0.1',
            ...headers,
          },
        }),
      restart: async () => {
        await replica.child.stop();
        replica.child = await run();
      },
    };
    return replica;
  };
  try {
    more = (await (typeof settings.auth === 'function' ? settings.auth(publicUrl) : settings.auth)) ?? {};
    const replicas: Replica[] = [];
    for (let index = 0; index < count; index++) replicas.push(await start(index));
    return {
      provider,
      replicas,
      publicUrl,
      signIn: async (user) => {
        const person = new HttpPerson();
        const back = await person.signIn(`${publicUrl}/_postern/sign-in?rd=${encodeURIComponent('/app/')}`, user);
        if (back.pathname !== '/app/') throw new Error(`sign-in ended at ${back.origin}${back.pathname}`);
        return { person, cookie: person.cookie('127.0.0.1') };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
