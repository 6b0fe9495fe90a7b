import { LegacyClient } from './legacy-client.ts';
import type { InitializedSession, LegacySession, LegacySessions } from './legacy-sessions.ts';
import type { ClientRequest } from './mcp-server.ts';
import { RunningRequests } from './running-requests.ts';
import { ignoreMessage, type RequestContext, type UpstreamLink } from './upstream-request.ts';

/** The sessions at a server of the sessions' era that is reached by streamable HTTP. */
export class HttpSessions implements LegacySessions {
  readonly #link: UpstreamLink;

  constructor(link: UpstreamLink) {
    this.#link = link;
  }

  async open(request: ClientRequest, context: RequestContext, signal: AbortSignal): Promise<InitializedSession> {
    const server = new LegacyClient(this.#link, { caller: context.caller });
    const { id, method, params } = request;
    try {
      const result = await server.post(
        { jsonrpc: '2.0', id, method, params },
        { ...context, signal, onMessage: ignoreMessage },
      );
      return { id: server.session.id ?? '', result };
    } catch (error) {
      void server.close();
      throw error;
    }
  }

  find(id: string, context: RequestContext): LegacySession {
    const session = { id: id === '' ? undefined : id, version: context.version };
    return { server: new LegacyClient(this.#link, context, session), running: new RunningRequests() };
  }
}
