import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet } from 'jose';
import type { Child } from '../../support/child.ts';
import { copyDeployment, type Deployment, startProxy } from '../../support/deployment.ts';
import { startEchoUpstream } from '../../support/echo-upstream.ts';
import { freePorts } from '../../support/free-port.ts';
import { startOpenIdProvider } from '../../support/openid-provider.ts';
import { startPostern } from '../../support/postern-process.ts';
import type { Program } from '../../support/programs.ts';
import { type Expected, OPEN_HOST } from './oracle.ts';
import { startWitness } from './witness.ts';

export const SECRET = 'the secret that proxy and relay share';
export const ECHO = '/servers/echo/mcp';
/** Nothing listens there; every request names this host, because a token counts at its own host only. */
const PUBLIC_URL = 'http://127.0.0.1';

/** A line of a deployment, and what stands in its place. */
export interface Edit {
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
}

export type Gauntlet = Awaited<ReturnType<typeof startGauntlet>>;

/** One forward-auth and one relay for all proxies, which are opened one by one by the files of `deploy/`. */
export async function startGauntlet() {
  const ends: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    while (ends.length > 0) await ends.pop()?.();
  };
  try {
    const provider = await startOpenIdProvider();
    ends.push(() => provider.stop());
    const echo = await startEchoUpstream();
    ends.push(() => echo.stop());
    const witness = await startWitness();
    ends.push(() => witness.stop());
    const [auth, grpc, authInternal, relay, relayInternal] = (await freePorts(5)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const addresses = {
      '127.0.0.1:4180': `127.0.0.1:${auth}`,
      '127.0.0.1:4181': `127.0.0.1:${grpc}`,
      '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
      '127.0.0.1:4444': `127.0.0.1:${relay}`,
      '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
      '127.0.0.1:4192': new URL(provider.issuer).host,
    };
    const secretEnv = { POSTERN_RELAY_TRUST_SECRET: SECRET };
    const copy = await copyDeployment('envoy-grpc', addresses, secretEnv);
    ends.push(() => copy.remove());
    const env = {
      ...secretEnv,
      POSTERN_LOG_LEVEL: 'debug',
      POSTERN_PUBLIC_URL: PUBLIC_URL,
      POSTERN_AUTH_RULES: JSON.stringify([
        { match: { host: OPEN_HOST, path: '/admin/**' }, public: true },
        { match: { path: '/servers/**' }, allow: { groups: ['engineering'] } },
        { match: { path: '/public/**' }, public: true },
        { match: { path: '/app/**' }, allow: { groups: ['engineering'] } },
        { match: { path: '/admin/**' }, allow: { groups: ['admins'] } },
      ]),
      POSTERN_RELAY_SERVERS: JSON.stringify({ echo: { url: `http://127.0.0.1:${echo.port}/mcp` } }),
    };
    const config = join(copy.folder, 'postern.yaml');
    const keep = (child: Child) => {
      ends.push(() => child.stop());
      return child;
    };
    const running = {
      auth: keep(await startPostern('auth', config, authInternal, env)),
      relay: keep(await startPostern('relay', config, relayInternal, env)),
    };
    const published = (await (await fetch(`http://127.0.0.1:${auth}/_postern/jwks.json`)).json()) as never;
    const token = await provider.token('alice', PUBLIC_URL);
    const echoToken = await provider.token('alice', `${PUBLIC_URL}${ECHO}`);
    const expected: Expected = {
      keys: createLocalJWKSet(published),
      issuer: PUBLIC_URL,
      secret: SECRET,
      tokens: new Set([token, echoToken]),
    };
    return {
      ...{ provider, echo, witness, running, expected, token, echoToken },
      ports: { auth, relay, authInternal, relayInternal, grpc },
      /** A proxy by its files, with what stands behind it, and lines of its files changed. */
      async open(
        name: Deployment,
        program: Program,
        behind: 'witness' | 'relay',
        edits: readonly Edit[] = [],
        /** What is asked in the place of forward-auth. */
        asked: { auth?: number; grpc?: number } = {},
      ) {
        const [port, check] = (await freePorts(2)) as [number, number];
        const to = behind === 'witness' ? witness.port : relay;
        const own = await copyDeployment(
          name,
          {
            '127.0.0.1:8080': `127.0.0.1:${port}`,
            '127.0.0.1:4180': `127.0.0.1:${asked.auth ?? auth}`,
            '127.0.0.1:4444': `127.0.0.1:${to}`,
            ...(name === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${asked.grpc ?? grpc}` } : {}),
            // Where HAProxy asks itself.
            ...(name === 'haproxy' ? { '127.0.0.1:4182': `127.0.0.1:${check}` } : {}),
          },
          secretEnv,
        );
        for (const { file, from, to: text } of edits) await replace(join(own.folder, file), from, text);
        const proxy = await startProxy(name, program, own.folder, port, secretEnv).catch(async (error: unknown) => {
          await own.remove();
          throw error;
        });
        const close = async () => {
          await proxy.stop();
          await own.remove();
        };
        ends.push(close);
        return {
          port,
          stop: async () => {
            ends.splice(ends.indexOf(close), 1);
            await close();
          },
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A line that is not there any more would make the test prove nothing. */
async function replace(file: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = text.replace(from, () => to);
  if (changed === text) throw new Error(`${file} does not hold ${from}`);
  await writeFile(file, changed);
}
