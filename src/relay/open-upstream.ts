import type { RelayConfig } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { readUpstreamTls } from '../platform/tls.ts';
import type { OutgoingHeaders } from './credentials/outgoing-headers.ts';
import { EraBridge } from './eras/era-bridge.ts';
import type { Budgets } from './gate/budgets/budgets.ts';
import type { ReplicaChannel } from './replicas/replica-channel.ts';
import { CONNECTION_TIMES } from './transports/channel/connection.ts';
import { HttpUpstream } from './upstreams/http-upstream.ts';
import { childProcessPipe } from './upstreams/pipes/child-process-pipe.ts';
import { httpSsePipe } from './upstreams/pipes/http-sse-pipe.ts';
import type { OpenPipe } from './upstreams/pipes/pipe.ts';
import { PipeServers } from './upstreams/pipes/pipe-servers.ts';
import { PipeUpstream } from './upstreams/pipes/pipe-upstream.ts';
import { webSocketPipe } from './upstreams/pipes/web-socket-pipe.ts';
import { logServerRefusals, type OnServerRefusal } from './upstreams/refusal-reason.ts';
import type { Upstream } from './upstreams/upstream.ts';

type ServerConfig = RelayConfig['servers'][string];

/** Milliseconds for a server to be there, however long its answers may take. */
const START_TIMEOUT = 60_000;

export interface OpenUpstreamDeps {
  readonly limits: RelayConfig['limits'];
  readonly budgets: Budgets;
  /** Of one identity. */
  readonly maxStreams: number;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From `readUpstreamTls`; empty: as undici does by itself. */
  readonly tls: ReturnType<typeof readUpstreamTls>;
  readonly outgoing: OutgoingHeaders | undefined;
  /** Absent: traces are off. */
  readonly traced?: ((server: Upstream) => Upstream) | undefined;
  /** With the other replicas, about one of these; undefined: there is one only. */
  readonly channel: ((about: 'era' | 'pipe') => ReplicaChannel) | undefined;
}

/** The way to one configured server, for clients of every era. Nothing is started or connected before somebody asks. */
export function openUpstream(name: string, server: ServerConfig, deps: OpenUpstreamDeps): Upstream {
  const transport = openTransport(name, server, deps);
  // Next to the server, so that each request that is made for one of a client has its own span.
  const reached = deps.traced?.(transport) ?? transport;
  const { era, url } = server;
  if (era === 'both') return reached;
  const { limits, channel, now } = deps;
  // Behind a pipe the relay speaks the sessions' era itself.
  const known = transport instanceof PipeUpstream ? 'legacy' : era === 'auto' ? undefined : era;
  return new EraBridge(reached, {
    era: known,
    limit: limits.maxServerMessage,
    retry: CONNECTION_TIMES.retry,
    streams: deps.maxStreams,
    budgets: deps.budgets,
    // A program gets no headers.
    keyOf: (caller) => (url === undefined ? undefined : deps.outgoing?.key(caller)) ?? '',
    channel: channel?.('era'),
    now,
  });
}

function openTransport(name: string, server: ServerConfig, deps: OpenUpstreamDeps): Upstream {
  const { limits, outgoing, tls, log, now } = deps;
  const { url, timeout, sharing, maxSessions: max, idleTimeout: unused } = server;
  const onRefusal = logServerRefusals(name, log, now);
  const transport = server.transport ?? (/^wss?:/.test(url ?? '') ? 'websocket' : 'streamable-http');
  if (url !== undefined && transport === 'streamable-http')
    return new HttpUpstream({ url, timeout }, limits.idleStream, tls, outgoing, onRefusal);
  const idle = limits.idleStream;
  const times = { timeout, start: Math.min(timeout, START_TIMEOUT), idle };
  return new PipeUpstream(
    new PipeServers(openPipe(name, server, transport, { ...deps, onRefusal }), {
      server: name,
      sharing,
      max,
      limit: limits.maxServerMessage,
      log,
      now,
    }),
    // A program gets no headers.
    {
      sharing,
      times,
      unused,
      limit: limits.maxServerMessage,
      budgets: deps.budgets,
      outgoing: url === undefined ? undefined : outgoing,
      now,
      channel: deps.channel?.('pipe'),
    },
  );
}

function openPipe(
  name: string,
  server: ServerConfig,
  transport: ServerConfig['transport'],
  { limits, log, env, tls, onRefusal }: OpenUpstreamDeps & { onRefusal: OnServerRefusal },
): OpenPipe {
  const { url, command, args, cwd } = server;
  const limit = limits.maxServerMessage;
  const timeout = Math.min(server.timeout, START_TIMEOUT);
  if (url === undefined)
    return childProcessPipe(
      { command: command as string, args, cwd, env: { ...inherited(server.inheritEnv, env), ...server.env } },
      { server: name, log, limit },
    );
  return transport === 'websocket'
    ? webSocketPipe(url, { limit, timeout, tls, onRefusal })
    : httpSsePipe(url, { limit, timeout, idle: limits.idleStream, tls, onRefusal });
}

function inherited(names: readonly string[], env: OpenUpstreamDeps['env']): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
