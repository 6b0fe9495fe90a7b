import type { RelayConfig } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { readUpstreamTls } from '../platform/tls.ts';
import type { OutgoingHeaders } from './credentials/outgoing-headers.ts';
import { EraBridge } from './eras/era-bridge.ts';
import { SessionServer } from './eras/session-server.ts';
import type { Budgets } from './gate/budgets/budgets.ts';
import type { ReplicaChannel } from './replicas/replica-channel.ts';
import type { Caller } from './trust/caller.ts';
import { HttpUpstream } from './upstreams/http-upstream.ts';
import { childProcessPipe } from './upstreams/pipes/child-process-pipe.ts';
import { httpSsePipe } from './upstreams/pipes/http-sse-pipe.ts';
import type { OpenPipe } from './upstreams/pipes/pipe.ts';
import { PipeServers } from './upstreams/pipes/pipe-servers.ts';
import { PipeSessions } from './upstreams/pipes/pipe-sessions.ts';
import { webSocketPipe } from './upstreams/pipes/web-socket-pipe.ts';
import { logServerRefusals, type OnServerRefusal } from './upstreams/refusal-reason.ts';
import type { RetryTimes } from './upstreams/resumable-stream.ts';
import type { TracedRequests } from './upstreams/traced-requests.ts';
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
  readonly retry: RetryTimes;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From `readUpstreamTls`; empty: as undici does by itself. */
  readonly tls: ReturnType<typeof readUpstreamTls>;
  readonly outgoing: OutgoingHeaders | undefined;
  /** Absent: traces are off. */
  readonly traced: TracedRequests | undefined;
  /** With the other replicas, about one of these; undefined: there is one only. */
  readonly channel: ((about: 'era' | 'session') => ReplicaChannel) | undefined;
}

/** The way to one configured server, for clients of every era. Nothing is started or connected before somebody asks. */
export function openUpstream(name: string, server: ServerConfig, deps: OpenUpstreamDeps): Upstream {
  const { limits, outgoing, tls, log, now, budgets, traced } = deps;
  const { url, timeout, era } = server;
  const limit = limits.maxServerMessage;
  const onRefusal = logServerRefusals(name, log, now);
  const transport = server.transport ?? (/^wss?:/.test(url ?? '') ? 'websocket' : 'streamable-http');
  const pooled = {
    streams: deps.maxStreams,
    budgets,
    // A program gets no headers.
    keyOf: (caller: Caller) => (url === undefined ? undefined : outgoing?.key(caller)) ?? '',
    channel: deps.channel?.('era'),
  };
  if (url === undefined || transport !== 'streamable-http') {
    const pipe = openPipe(name, server, transport, { ...deps, onRefusal });
    return new SessionServer(openPipeSessions(name, server, pipe, deps), limit, pooled);
  }
  const reached = new HttpUpstream({ url, timeout }, limits.idleStream, tls, outgoing, onRefusal);
  // Next to the server, so that each request that is made for one of a client has its own span.
  return new EraBridge(traced?.overHttp(reached) ?? reached, { ...pooled, era, limit, retry: deps.retry, now });
}

function openPipeSessions(
  name: string,
  { url, sharing, maxSessions: max, timeout, idleTimeout: unused }: ServerConfig,
  pipe: OpenPipe,
  { limits, outgoing, log, now, budgets, traced, channel }: OpenUpstreamDeps,
): PipeSessions {
  const limit = limits.maxServerMessage;
  return new PipeSessions(new PipeServers(pipe, { server: name, sharing, max, limit, log, now, traced }), {
    sharing,
    times: { timeout, start: Math.min(timeout, START_TIMEOUT), idle: limits.idleStream },
    unused,
    budgets,
    // A program gets no headers.
    outgoing: url === undefined ? undefined : outgoing,
    now,
    channel: channel?.('session'),
  });
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
