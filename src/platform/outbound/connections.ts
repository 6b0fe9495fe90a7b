import { Agent as PlainAgent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectSecure } from 'node:tls';
import { Agent, buildConnector } from 'undici';
import { withoutBrackets } from '../config/host-and-port.ts';
import { proxyFor } from './proxies.ts';
import { tunnel } from './tunnel.ts';

/** Milliseconds until a connection must stand. */
const TIMEOUT = 10_000;

type Answer = (error: Error | null, socket?: Socket) => void;

/**
 * What undici connects by: straight, or through the proxy that the environment names for that address.
 *
 * @param vet asked about a host before a proxy is, which looks the name up itself; rejects where it must not be reached
 */
export function outboundConnector(
  options: buildConnector.BuildOptions = {},
  vet: (host: string) => Promise<void> = async () => {},
): buildConnector.connector {
  const straight = buildConnector(options);
  return (target, answer) => {
    const { protocol, hostname } = target;
    const host = withoutBrackets(hostname);
    const port = Number(target.port || (protocol === 'https:' ? 443 : 80));
    const proxy = proxyFor(protocol, host, port, process.env);
    if (proxy === undefined) return straight(target, answer);
    const through = vet(host).then(() => tunnel(proxy, host, port, options.timeout ?? TIMEOUT));
    through.then(
      (httpSocket) => {
        if (protocol === 'https:') straight({ ...target, httpSocket }, answer);
        else answer(null, httpSocket);
      },
      (error: Error) => answer(error, null),
    );
  };
}

/**
 * The same for `node:http`, `node:https` and what is built on them.
 *
 * @param timeout milliseconds until a proxy must have answered
 */
export function outboundConnection(secure: boolean, timeout = TIMEOUT) {
  // `path` would be that of a socket in the file system.
  return ({ host = 'localhost', port, path: _, ...rest }: ConnectionOptions, answer: Answer): Socket | undefined => {
    const bare = withoutBrackets(host);
    const wanted = Number(port ?? (secure ? 443 : 80));
    const servername = rest.servername || (isIP(bare) === 0 ? bare : '');
    const proxy = proxyFor(secure ? 'https:' : 'http:', bare, wanted, process.env);
    if (proxy === undefined) {
      const target = { ...rest, host: bare, port: wanted };
      return secure ? connectSecure({ ...target, servername }) : connectPlain(target);
    }
    tunnel(proxy, bare, wanted, timeout).then(
      (socket) => answer(null, secure ? connectSecure({ ...rest, socket, servername }) : socket),
      (error: Error) => answer(error),
    );
    return undefined;
  };
}

/** An agent for libraries that bring their own client of `node:http`. */
export function outboundAgent(protocol: string, options: ConnectionOptions = {}): PlainAgent {
  const secure = protocol === 'https:';
  const connection = outboundConnection(secure);
  const Base = secure ? SecureAgent : PlainAgent;
  const agent = new Base({ keepAlive: true, ...options });
  agent.createConnection = (target, answer) => connection(target as ConnectionOptions, answer as Answer) as Duplex;
  return agent;
}

/** `fetch` through the proxy that the environment names, for everything that the configuration names. */
export function createOutboundFetch(): typeof fetch {
  const dispatcher = new Agent({ connect: outboundConnector() });
  // Node's own `fetch`: answers of undici's are no `Response` to those who look for one.
  return (input, init) => fetch(input, { dispatcher, ...init } as RequestInit);
}
