import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import { adminSwitches, hasSignIn } from '../../platform/config/admin-schema.ts';
import type { Config } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { RelayMetrics, StoreMetrics } from '../../platform/metrics.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Watch } from '../../watch/watch.ts';
import type { RateLimitStates } from '../gate/rate-limit-states.ts';
import type { Tools } from '../gate/tools/tools.ts';
import type { OpenStreams } from '../transports/open-streams.ts';
import type { Callers } from '../trust/caller.ts';
import type { HeaderScanner } from '../trust/headers.ts';
import { createPeers } from '../trust/peers.ts';
import type { FormTokens } from './access/form-token.ts';
import { Gatekeeper } from './access/gatekeeper.ts';
import { GroupSignIn } from './access/group-sign-in.ts';
import { PasswordSignIn } from './access/password-sign-in.ts';
import { SameOrigin } from './access/same-origin.ts';
import { AdminSite } from './admin-site.ts';
import { apiRouter } from './api/admin-api.ts';
import type { LiveStreams } from './api/live-stream.ts';
import { ForwardAuthOperator } from './forward-auth-operator.ts';
import { allOperations, createCatalog } from './operations/catalog.ts';
import { OwnForms } from './pages/own-form.ts';
import { pagesRouter } from './pages/router.ts';
import { RecentActivity } from './recent-activity.ts';

export interface AdminDeps {
  readonly activity: RecentActivity;
  readonly live: LiveStreams;
  readonly forms: FormTokens;
  readonly callers: Callers;
  readonly scanner: HeaderScanner;
  readonly tools: Tools;
  readonly stores: Pick<Stores, 'limiter'>;
  readonly metrics: RelayMetrics;
  readonly storeMetrics: Pick<StoreMetrics, 'rateLimited'>;
  readonly rateLimits: RateLimitStates;
  readonly streams: OpenStreams;
  /** To the other process. */
  readonly fetchInside: typeof fetch;
  readonly audit: AuditLog | undefined;
  readonly watch: Watch | undefined;
  readonly log: Logger;
}

/** Sign-ins that may go wrong in a window: of one client, and of one peer whatever clients it speaks of. */
const WRONG = { client: 20, peer: 100, window: 300_000 } as const;

/** Keeps what happens for those who look; undefined where nobody can. */
export function openActivity({ relay }: Pick<Config, 'relay'>, replica: string): RecentActivity | undefined {
  const { pages, api } = adminSwitches(relay.admin);
  return pages || api ? new RecentActivity(relay.admin.maxRecent, replica) : undefined;
}

/** @returns undefined where the request is not for the admin pages; otherwise resolves when it has been answered */
export type Admin = (request: IncomingMessage, response: ServerResponse) => Promise<void> | undefined;

/** The admin pages and their API, as far as they are on. */
export function openAdmin(config: Config, deps: AdminDeps): Admin {
  const { admin } = config.relay;
  const { callers, scanner, stores, watch, audit, log } = deps;
  const { user, password, groups } = admin;
  const origin = new SameOrigin(config.publicUrl);
  const gatekeeper = new Gatekeeper({
    scanner,
    origin,
    peers: createPeers(config.relay.trust.proxies),
    hops: config.relay.trust.hops,
    password:
      user === undefined || password === undefined
        ? undefined
        : new PasswordSignIn(
            { user, password },
            {
              byClient: stores.limiter('admin-sign-in', WRONG.client, WRONG.window),
              byPeer: stores.limiter('admin-sign-in-peer', WRONG.peer, WRONG.window),
            },
            (address) => watch?.observe({ kind: 'operator_refused', address }),
          ),
    groups: groups.length === 0 ? undefined : new GroupSignIn(groups, callers),
    local: !hasSignIn(admin),
  });
  const forwardAuth = new ForwardAuthOperator(admin.forwardAuth, deps.fetchInside);
  const catalog = createCatalog({ ...deps, config, forwardAuth, recent: watch?.recent });
  const switches = adminSwitches(admin);
  const forms = new OwnForms(origin, deps.forms);
  const site = new AdminSite({
    gatekeeper,
    routers: [
      ...(switches.api ? [apiRouter(allOperations(catalog), deps.live)] : []),
      ...(switches.pages ? [pagesRouter(catalog, { forms, live: switches.api, sessions: forwardAuth.reachable })] : []),
    ],
    audit,
    log,
  });
  const { pages, api } = switches;
  log.info({ pages, api }, 'operators may look at /admin');
  return site.handle.bind(site);
}
