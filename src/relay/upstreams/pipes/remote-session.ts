import { DependencyUnavailable } from '../../../platform/errors.ts';
import type { Origin, Outgoing } from '../../credentials/credential.ts';
import { SessionLost } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { RefusedError, refusalOf } from '../../refusal.ts';
import type { RemoteCallOptions, RemoteContext, RemoteResult } from '../../replicas/remote-call.ts';
import { type LegacySession, notifyIn, requestIn } from '../legacy-sessions.ts';
import { type ClientRequest, descriptionOf, type ListeningEnd } from '../mcp-server.ts';
import { RunningRequests } from '../running-requests.ts';

/** What is asked of a server in one session of it. */
type SessionCall =
  | { readonly use: 'request'; readonly request: ClientRequest }
  | { readonly use: 'notify'; readonly message: Json }
  | { readonly use: 'listen' | 'close' };

/** The same, as the replica that it came to asks the one that holds the session. */
export type RemoteSessionCall = SessionCall & {
  readonly session: string;
  /** From `ownerKey(identity)`, which the asking replica has authenticated. */
  readonly owner: string;
  /** What the headers of its message depend on; absent: they are those of the message before it. */
  readonly origin?: Origin;
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
};

type CallOptions = Pick<RemoteCallOptions, 'onMessage' | 'onSign' | 'signal'>;

/** As `McpServer.listen` answers. */
const ENDS: ReadonlySet<unknown> = new Set<ListeningEnd>(['not_offered', 'lost', 'unreachable']);

/** A session that another replica may hold: where its program or connection is. */
export function remoteSession(call: (ask: SessionCall, options: CallOptions) => Promise<RemoteResult>): LegacySession {
  const ask = async (asked: SessionCall, options: CallOptions = {}): Promise<Json> => {
    const called = await call(asked, options);
    switch (called.kind) {
      case 'result':
        return called.result;
      case 'not_found':
        throw new SessionLost();
      case 'busy':
        throw new RefusedError(refusalOf(new DependencyUnavailable('the other replicas')));
      case 'lost':
        throw new Error('the replica that held the session has gone');
      default:
        throw called satisfies never;
    }
  };
  return {
    isRemote: true,
    // Those that run are known where the session is.
    running: new RunningRequests(),
    server: {
      // Known since `initialize`, which another replica has answered.
      describe: async () => descriptionOf({}),
      request: ({ id, method, params }, { signal, onMessage, onUnderWay }) => {
        const onSign = () => onUnderWay?.();
        return ask({ use: 'request', request: { id, method, params } }, { signal, onMessage, onSign });
      },
      notify: async (message) => void (await ask({ use: 'notify', message })),
      listen: async (_filter, { signal, onMessage, onOpen }) => {
        const onSign = () => onOpen?.();
        const { how } = await ask({ use: 'listen' }, { signal, onMessage, onSign });
        return ENDS.has(how) ? (how as ListeningEnd) : 'lost';
      },
      ping: async () => {},
      close: async () => void (await ask({ use: 'close' })),
    },
  };
}

/** Serves a call of another replica. @param session undefined: not of its owner, or ended */
export async function serveRemote(
  session: LegacySession | undefined,
  call: SessionCall,
  { send, tell, signal }: RemoteContext,
): Promise<Json> {
  if (session === undefined) throw new SessionLost();
  const { server } = session;
  const options = { signal, onMessage: send };
  switch (call.use) {
    case 'request':
      tell('under_way');
      return requestIn(session, call.request, options);
    case 'notify':
      await notifyIn(session, call.message);
      return {};
    case 'listen':
      return { how: await server.listen(undefined, { ...options, onOpen: () => tell('opened') }) };
    case 'close':
      await server.close();
      return {};
    default:
      throw call satisfies never;
  }
}
