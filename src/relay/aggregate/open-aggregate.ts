import type { Config } from '../../platform/config/schema.ts';
import { CountedWarning } from '../../platform/counted-warning.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import type { RotatingSealing } from '../../platform/sealing/sealing-keys.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import type { Intake } from '../intake.ts';
import type { Outcomes } from '../outcomes.ts';
import { hasUrlMode } from '../protocol/elicitation.ts';
import type { ConnectionTimes } from '../transports/channel/connection.ts';
import type { Caller } from '../trust/caller.ts';
import type { ClientRequest } from '../upstreams/mcp-server.ts';
import type { Upstream } from '../upstreams/upstream.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';
import { AggregateServer, type AggregateServerDeps, type MemberClient } from './aggregate-server.ts';
import { Cursors } from './cursors.ts';
import { HungServers } from './hung-servers.ts';
import { LegacyMember } from './legacy-member.ts';
import type { ListPage } from './list-page.ts';
import { MeteredMember } from './metered-member.ts';
import { Names } from './names.ts';
import { ServerRequestIds } from './server-requests.ts';
import { Subscribers } from './subscribers.ts';

export interface AggregateWiring {
  readonly servers: Pick<ReadonlyMap<string, Upstream>, 'get' | 'has'>;
  readonly intake: Intake;
  readonly mayUse: (caller: Caller, server: string) => boolean;
  readonly budgets: Budgets;
  /** Of cursors and ids. */
  readonly sealing: RotatingSealing;
  readonly outcomes: Outcomes;
  readonly log: Logger;
  readonly times: ConnectionTimes;
}

/**
 * Puts all servers as one together from the configuration; undefined where there is no such thing.
 *
 * @param before the one that runs, which goes on by this configuration
 */
export function openAggregate(
  config: Config,
  wiring: AggregateWiring,
  before?: AggregateServer,
): AggregateServer | undefined {
  const deps = aggregateDeps(config, wiring);
  if (deps === undefined || before === undefined) return deps && new AggregateServer(deps);
  before.reconfigure(deps);
  return before;
}

function aggregateDeps({ relay }: Config, wiring: AggregateWiring): AggregateServerDeps | undefined {
  const { aggregate, limits } = relay;
  if (aggregate === undefined) return undefined;
  const { servers, separator, maxNameLength: nameLength, timeout } = aggregate;
  const { intake, sealing, log, times } = wiring;
  if (relay.policy === undefined)
    log.info({ servers }, 'every user who may reach /mcp may use all of these MCP servers');
  const away = new CountedWarning(log, 'all servers as one cannot answer, because a dependency does not');
  return {
    servers,
    separator,
    hung: new HungServers(timeout),
    names: new Names(servers, separator, nameLength),
    cursors: new Cursors(sealing),
    ids: new ServerRequestIds(sealing.keys),
    subscribers: new Subscribers(),
    times: times.retry,
    budgets: wiring.budgets,
    limit: limits.maxServerMessage,
    mayUse: wiring.mayUse,
    onGaps: (caller, page) => logGaps(caller, page, log),
    onHidden: (caller, server, request) => recordHidden(server, caller, request, wiring),
    onFailure: (error) => {
      if (error instanceof DependencyUnavailable) away.warn({ error: error.message });
      else log.error({ error }, 'all servers as one could not answer');
    },
    open: (server, client, slot) => {
      const upstream = wiring.servers.get(server);
      if (upstream === undefined) throw new Error(`the configuration let in an unknown server: ${server}`);
      const { caller, era, facts } = client;
      const context = { caller, elicitsUrls: elicitation(client) };
      return new MeteredMember(
        server,
        era === 'modern' ? upstream.modern(facts, context) : new LegacyMember(facts, slot, upstream.legacy, context),
        intake.gateOf(caller, server, () => requestId(caller)),
        (outcome, seconds, error) => wiring.outcomes.report({ server, way: caller.way, outcome, seconds, error }),
      );
    },
  };
}

/** The answer says nothing of a server that is not for the caller; counts and records say that somebody tried. */
async function recordHidden(
  server: string,
  caller: Caller,
  request: ClientRequest,
  { intake, servers }: AggregateWiring,
): Promise<void> {
  if (!servers.has(server)) return;
  const entered = await intake.gateOf(caller, server, () => requestId(caller)).authorize(request);
  if (!('status' in entered)) entered.ended('refused');
}

/** What is missing in a list is missing for a reason that the operator can do something about. */
function logGaps({ identity }: Caller, { unavailable, leftOut }: ListPage, log: Logger): void {
  if (unavailable.length === 0 && leftOut.length === 0) return;
  log.info({ identity, unavailable, leftOut }, 'a list of all servers is not complete');
}

/** How the client can be led to an address, which it said of itself once or with this request. */
function elicitation({ era, facts }: MemberClient): RequestContext['elicitsUrls'] {
  if (!hasUrlMode(facts.capabilities)) return false;
  return era === 'modern' ? 'by-result' : true;
}
