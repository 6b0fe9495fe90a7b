import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ownerKey } from '../../../identity/identity.ts';
import type { Hold } from '../../gate/budgets/budgets.ts';
import { releaseWith } from '../../gate/budgets/request-hold.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import type { Admitted, Refused } from '../../intake.ts';
import type { Json, MessageId } from '../../protocol/json-rpc.ts';
import { headerMismatch } from '../../protocol/mcp-headers.ts';
import { type Message, parseMessage } from '../../protocol/message.ts';
import { type Refusal, refusalOf, sendRefusal } from '../../refusal.ts';
import { RemoteCalls } from '../../replicas/remote-call.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import { admitConnection, refusedConnection } from '../channel/admission.ts';
import { type ConnectionDeps, drainAll } from '../channel/connection.ts';
import { DRAINING, TOO_MANY } from '../channel/refusals.ts';
import { readBody } from '../streamable-http/body.ts';
import { pathOf, type TransportPath } from '../streamable-http/route.ts';
import { noSession, type SessionSeal } from '../streamable-http/sealed-session.ts';
import { EventStreamConnection } from './connection.ts';

const METHODS = { sse: 'GET', messages: 'POST', ws: 'GET' } as const;
const UPGRADE: Refusal = {
  status: 426,
  reason: 'upgrade',
  message: 'this address speaks WebSocket only: send an upgrade request with the subprotocol "mcp"',
  fix: 'if a client did, the proxy does not pass upgrades on',
  headers: { Upgrade: 'websocket', Connection: 'Upgrade' },
};

/** A message for a stream that another replica holds: a proxy may send each POST to any of them. */
interface RemoteMessage {
  /** Id of the stream, from a session id that was opened: its owner has been checked. */
  readonly connection: string;
  /** base64 */
  readonly bytes: string;
}

/** What became of a message: `full` if its stream has no room now. */
type Taken = 'taken' | 'full';

/** Messages that may wait for another replica. */
const REMOTE_LIMITS = { max: 1_000, perOwner: 100 };

export interface HttpSseDeps extends ConnectionDeps {
  /** With the other replicas; undefined: there is one only. */
  readonly channel?: ReplicaChannel | undefined;
}

/** HTTP+SSE of 2024-11-05: a stream at `/servers/<name>/sse`, messages to `/servers/<name>/messages`. */
export class HttpSseEndpoint {
  readonly #seal: SessionSeal;
  readonly #deps: HttpSseDeps;
  readonly #remote: RemoteCalls<RemoteMessage> | undefined;
  readonly #connections = new Map<string, EventStreamConnection>();
  #draining = false;

  constructor(seal: SessionSeal, deps: HttpSseDeps) {
    this.#seal = seal;
    this.#deps = deps;
    this.#remote = deps.channel && new RemoteCalls(deps.channel, (message) => this.#takeRemote(message), REMOTE_LIMITS);
  }

  /** Never throws and always answers. */
  async handle(request: IncomingMessage, response: ServerResponse, path: TransportPath): Promise<void> {
    const allow = `${METHODS[path.transport]}, OPTIONS`;
    if (request.method === 'OPTIONS')
      return void response.writeHead(204, { Allow: allow, 'Content-Length': '0' }).end();
    const refusal = refusalOfAll(request, path, allow);
    const { intake } = this.#deps;
    const admitted =
      refusal === undefined
        ? await admitConnection(intake, request, path)
        : { refusal, caller: await intake.visitor(request) };
    if ('refusal' in admitted) return this.#refuse(request, response, path, admitted.refusal, admitted);
    if (path.transport === 'messages') return this.#receive(request, response, path, admitted);
    request.resume();
    const hold = this.#draining ? DRAINING : this.#deps.budgets.of(ownerKey(admitted.identity)).take({ streams: 1 });
    if ('status' in hold) return this.#refuse(request, response, path, hold, { caller: admitted });
    if (response.destroyed) hold.release();
    else this.#open(response, admitted, hold);
  }

  /** Takes no new stream and no new request, ends each stream when its requests are answered, and all after `grace`. */
  async close(grace: number): Promise<void> {
    this.#draining = true;
    await drainAll([...this.#connections.values()], grace);
    this.#remote?.close();
  }

  #open(response: ServerResponse, admitted: Admitted, hold: Hold): void {
    const { server, identity } = admitted;
    const id = `http-sse ${randomUUID()}`;
    const sealed = this.#seal.seal(server, id, ownerKey(identity));
    const prefix = new URL(this.#deps.config.publicUrl).pathname.replace(/\/$/, '');
    const endpoint = `${prefix}${pathOf(server)}/messages?sessionId=${sealed}`;
    const connection = new EventStreamConnection(response, endpoint, admitted, hold, this.#deps);
    this.#connections.set(id, connection);
    void connection.closed.then(() => this.#connections.delete(id));
  }

  async #receive(
    request: IncomingMessage,
    response: ServerResponse,
    path: TransportPath,
    admitted: Admitted,
  ): Promise<void> {
    const refuse = (refusal: Refusal, id: MessageId = null) =>
      this.#refuse(request, response, path, refusal, { caller: admitted, id });
    const { headers } = admitted;
    const opened = this.#session(path, admitted);
    if ('reason' in opened) return refuse(opened);
    const connection = this.#connections.get(opened.upstreamId);
    if (connection === undefined && this.#remote === undefined) return refuse(noSession('session_unknown'));
    const hold = this.#deps.budgets.of(ownerKey(admitted.identity)).take({});
    if ('status' in hold) return refuse(hold);
    releaseWith(response, hold);
    const body = await readBody(request, headers.get('content-type'), this.#deps.config.relay.limits.maxBody, hold);
    if (body.kind === 'gone') return;
    if (body.kind === 'refused') return refuse(body.refusal);
    const parsed = parseMessage(body.bytes);
    if ('refusal' in parsed) return refuse(parsed.refusal, parsed.id);
    const { message } = parsed;
    const mismatch = headerMismatch('legacy', headers.get, message) ?? insufficientScope(admitted.demand, message);
    if (mismatch !== undefined) return refuse(mismatch, message.id ?? null);
    const handed =
      connection === undefined
        ? await this.#sendToReplicas(opened.upstreamId, body.bytes, admitted)
        : take(connection, message, body.bytes);
    if (handed === 'not_found') return refuse(noSession('session_unknown'), message.id ?? null);
    if (handed === 'full') return refuse(TOO_MANY, message.id ?? null);
    if (handed !== 'taken') return refuse(handed, message.id ?? null);
    response.writeHead(202, { 'Content-Type': 'text/plain', 'Content-Length': '8' }).end('Accepted');
  }

  /** One answer for whatever is wrong, so that it says nothing of other people's sessions. */
  #session({ query }: TransportPath, { server, identity }: Admitted): { upstreamId: string } | Refusal {
    const given = query.getAll('sessionId');
    const opened = this.#seal.open(given.length === 1 ? (given[0] as string) : '', server, ownerKey(identity));
    return 'reason' in opened ? noSession(opened.reason) : opened;
  }

  /** Another replica may hold the stream. */
  async #sendToReplicas(id: string, bytes: Buffer, { identity }: Admitted): Promise<Taken | 'not_found' | Refusal> {
    if (this.#remote === undefined) return 'not_found';
    try {
      const message = { connection: id, bytes: bytes.toString('base64') };
      const called = await this.#remote.call(message, { owner: ownerKey(identity) });
      if (called.kind === 'busy') return 'full';
      return called.kind === 'result' ? (called.result.taken as Taken) : 'not_found';
    } catch (error) {
      return refusalOf(error);
    }
  }

  #takeRemote({ connection: id, bytes: encoded }: RemoteMessage): Promise<Json> | undefined {
    const connection = this.#connections.get(id);
    const bytes = Buffer.from(encoded, 'base64');
    const parsed = parseMessage(bytes);
    if (connection === undefined || 'refusal' in parsed) return undefined;
    return Promise.resolve({ taken: take(connection, parsed.message, bytes) });
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    path: TransportPath,
    refusal: Refusal,
    known: Pick<Refused, 'caller'> & { id?: MessageId } = {},
  ): void {
    const { intake } = this.#deps;
    const { caller, id = null } = known;
    refusedConnection(intake, request, path, refusal, caller);
    if (!request.readableEnded) request.resume();
    if (response.headersSent || response.destroyed) return;
    sendRefusal(response, refusal, id, intake.pageOf(request, refusal, caller?.identity));
  }
}

/** @returns undefined where it depends on who asks */
function refusalOfAll({ method }: IncomingMessage, { transport }: TransportPath, allow: string): Refusal | undefined {
  const wanted = METHODS[transport];
  if (method !== wanted)
    return { status: 405, reason: 'method_not_allowed', message: `use ${wanted}`, headers: { Allow: allow } };
  return transport === 'ws' ? UPGRADE : undefined;
}

/** A client that does not read its stream gets no more room by sending more. */
function take({ channel }: EventStreamConnection, message: Message, bytes: Buffer): Taken {
  if (channel.saturated) return 'full';
  void channel.accept(message, bytes);
  return 'taken';
}
