import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Config } from '../../platform/config/schema.ts';
import { plainReason } from '../../platform/failure-reason.ts';
import { proxyFor } from '../../platform/outbound/proxies.ts';
import { reachableAddress } from '../operator-client.ts';
import { exchange, jsonOf, NoAnswer } from './exchange.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { keySetFindings, noAnswer } from './providers.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds. */
const TIMEOUT = 5_000;

/** Whether the processes can listen, or do. */
export async function portFindings(config: Config): Promise<Finding[]> {
  const places = (['auth', 'relay'] as const).flatMap((part) =>
    (['listen', 'internalListen'] as const).map((name) => ({ part, key: `${part}.${name}`, ...config[part][name] })),
  );
  const running = {
    auth: await isPostern(config.auth.internalListen),
    relay: await isPostern(config.relay.internalListen),
  };
  return Promise.all(
    places.map(async ({ part, key, host, port }, index) => {
      const twin = places.slice(0, index).find((other) => other.port === port && other.host === host);
      if (twin !== undefined && port !== 0)
        return fail(key, `port ${port} is that of ${twin.key} too`, 'choose another');
      const code = await listening(host, port);
      if (code === undefined) return ok(key, `port ${port} of ${host} is free`);
      if (code === 'EADDRINUSE' && running[part]) return ok(key, `Postern listens at port ${port}`);
      if (code === 'EADDRINUSE') {
        const other = (await answersAsPostern(part, { host, port }))
          ? `another Postern listens at ${host}:${port}, such as \`postern up\``
          : `another program listens at ${host}:${port}`;
        return fail(key, other, 'end it, or choose another port');
      }
      if (code === 'EACCES') return fail(key, `port ${port} needs privileges`, 'choose one above 1023');
      return fail(
        key,
        `${host} is not an address of this machine (${code})`,
        'write 0.0.0.0, or an address that it has',
      );
    }),
  );
}

async function listening(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    server.close();
  }
}

async function isPostern(listen: Config['auth']['internalListen']): Promise<boolean> {
  const answer = await exchange(fetch, `${reachableAddress(listen)}/configz`).catch(noAnswer);
  return !(answer instanceof NoAnswer) && jsonOf(answer)?.parts !== undefined;
}

/** Whether forward-auth or an internal listener is there, of whatever configuration. The relay answers only a proven proxy. */
async function answersAsPostern(part: 'auth' | 'relay', listen: Config['auth']['internalListen']): Promise<boolean> {
  if (await isPostern(listen)) return true;
  if (part === 'relay') return false;
  const keys = await exchange(fetch, `${reachableAddress(listen)}/_postern/jwks.json`).catch(noAnswer);
  return !(keys instanceof NoAnswer) && Array.isArray(jsonOf(keys)?.keys);
}

/** The proxies to the outside, the one before Postern, and the keys that the relay verifies it by. */
export async function reachFindings(config: Config, env: Environment, fetcher: typeof fetch): Promise<Finding[]> {
  const { publicUrl, relay } = config;
  const found = await Promise.all([
    ...outboundProxies(env),
    edge(publicUrl, fetcher),
    ...[
      ['relay.trust.assertion.jwksUrl', relay.trust.assertion?.jwksUrl] as const,
      ['relay.trust.token.jwksUrl', relay.trust.token?.jwksUrl] as const,
    ].map(([key, url]) => (url === undefined ? [] : keySetFindings(key, url, fetcher))),
  ]);
  return found.flat();
}

function outboundProxies(env: Environment): Array<Promise<Finding[]>> {
  const proxies = ['https:', 'http:'].flatMap((protocol) => proxyFor(protocol, 'outside.invalid', 443, env) ?? []);
  return proxies.map(async ({ variable, origin, host, port }) => {
    const socket = connect({ host, port, timeout: TIMEOUT });
    try {
      await Promise.race([
        once(socket, 'connect'),
        once(socket, 'timeout').then(() => Promise.reject(new Error('no answer in time'))),
      ]);
      return [ok(variable, `the proxy ${origin} is reached`)];
    } catch (error) {
      return [
        fail(
          variable,
          `the proxy ${origin}: ${plainReason(error)}`,
          'start it, correct the variable, or name what needs none in NO_PROXY',
        ),
      ];
    } finally {
      socket.destroy();
    }
  });
}

async function edge(publicUrl: string, fetcher: typeof fetch): Promise<Finding[]> {
  const url = new URL('/_postern/jwks.json', publicUrl).href;
  const answer = await exchange(fetcher, url).catch(noAnswer);
  if (answer instanceof NoAnswer)
    return [
      warn(
        'publicUrl',
        `the proxy does not answer at ${publicUrl}: ${answer.message}`,
        'start it, or correct the address',
      ),
    ];
  if (answer.status === 200 && Array.isArray(jsonOf(answer)?.keys))
    return [ok('publicUrl', `the proxy at ${publicUrl} leads to Postern`)];
  return [
    warn(
      'publicUrl',
      `the proxy at ${publicUrl} answers, and not with Postern's keys at /_postern/jwks.json (${answer.status})`,
      'lead /_postern/ to forward-auth there; without forward-auth nothing is missing',
    ),
  ];
}
