import type { Config } from '../../platform/config/schema.ts';
import { digestOf } from '../../platform/digest.ts';
import { readUpstreamTls } from '../../platform/tls.ts';
import type { SharedOutgoing } from '../credentials/shared-outgoing.ts';
import { type OpenUpstreamDeps, openUpstream } from '../open-upstream.ts';
import type { ReplicaChannel } from '../replicas/replica-channel.ts';
import type { TracedRequests } from '../upstreams/traced-requests.ts';
import { ConfiguredServer } from './configured-server.ts';
import type { ServerSet } from './server-set.ts';

export interface OpenServersDeps extends Pick<OpenUpstreamDeps, 'budgets' | 'log' | 'now' | 'env' | 'retry'> {
  /** The servers that run; those of the same definition go on. */
  readonly running: ServerSet;
  readonly outgoing: SharedOutgoing;
  readonly channel: ((topic: string) => ReplicaChannel) | undefined;
  /** Absent: traces are off. */
  readonly traced: ((about: { name: string; url: string | undefined }) => TracedRequests) | undefined;
}

/**
 * The servers of a configuration. Nothing is started or connected before somebody asks.
 *
 * @throws ConfigurationError where a file of a server's TLS cannot be used; nothing is left open then
 */
export async function openServers(
  { relay, publicUrl }: Config,
  { running, outgoing, channel, traced, ...deps }: OpenServersDeps,
): Promise<ReadonlyMap<string, ConfiguredServer>> {
  const { limits, budgets, passthrough, trust, signing, authorizationServers, connections } = relay;
  const { maxStreams } = budgets.identity;
  const { secretHeader, userHeader, headers } = trust;
  const names = { secretHeader, userHeader, headers };
  const shared = { publicUrl, passthrough, names, issuer: signing.issuer, authorizationServers, connections };
  const opened: ConfiguredServer[] = [];
  try {
    const all = Object.entries(relay.servers).map(([name, server]) => {
      const tls = server.tls === undefined ? {} : readUpstreamTls(server.tls, `relay.servers.${name}.tls`);
      const own = outgoing.of(name);
      const { maxServerMessage, idleStream } = limits;
      const definition = digest([server, tls, maxServerMessage, idleStream, maxStreams, own && shared]);
      const known = running.find(name, definition);
      if (known !== undefined) return [name, known] as const;
      const release = outgoing.retain();
      const upstream = openUpstream(name, server, {
        ...{ ...deps, limits, maxStreams, tls, outgoing: own },
        channel: channel && ((about) => channel(`${about} ${name}`)),
        traced: traced?.({ name, url: server.url }),
      });
      const { idleTimeout: unused } = server;
      const configured = new ConfiguredServer(upstream, { definition, unused, now: deps.now, onClose: release });
      opened.push(configured);
      return [name, configured] as const;
    });
    return new Map(all);
  } catch (error) {
    await Promise.all(opened.map((server) => server.close()));
    throw error;
  }
}

function digest(content: unknown): string {
  return digestOf(JSON.stringify(content)).slice(0, 16);
}
