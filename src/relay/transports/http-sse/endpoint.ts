import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownerKey } from '../../../identity/identity.ts';
import type { Hold } from '../../gate/budgets/budgets.ts';
import { releaseWith } from '../../gate/budgets/request-hold.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import type { MessageId } from '../../protocol/json-rpc.ts';
import { headerMismatch } from '../../protocol/mcp-headers.ts';
import { type Message, parseMessage } from '../../protocol/message.ts';
import { type Refusal, refusalOf } from '../../refusal.ts';
import type { ReplicaTalk } from '../../replica-talk.ts';
import type { Admission, Admitted } from '../channel/admission.ts';
import type { ConnectionDeps } from '../channel/connection.ts';
import { DRAINING, TOO_MANY } from '../channel/refusals.ts';
import { readBody } from '../streamable-http/body.ts';
import { sendRefusal } from '../streamable-http/json-rpc-error.ts';
import { pathOf, type TransportPath } from '../streamable-http/route.ts';
import { noSession, type SessionSeal } from '../streamable-http/sealed-session.ts';
import { EventStreamConnection } from './connection.ts';
import { type Handed, MessagesElsewhere } from './messages-elsewhere.ts';

const METHODS = { sse: 'GET', messages: 'POST', ws: 'GET' } as const;
const UPGRADE: Refusal = {
  status: 426,
  reason: 'upgrade',
  message: 'this address speaks WebSocket only: send an upgrade request with the subprotocol "mcp"',
  fix: 'if a client did, the proxy does not pass upgrades on',
  headers: { Upgrade: 'websocket', Connection: 'Upgrade' },
};

export interface HttpSseDeps extends ConnectionDeps {
  /** With the other replicas; undefined: there is one only. */
  readonly talk?: ReplicaTalk | undefined;
}

/** HTTP+SSE of 2024-11-05: a stream at `/servers/<name>/sse`, messages to `/servers/<name>/messages`. */
export class HttpSseEndpoint {
  readonly #admission: Admission;
  readonly #seal: SessionSeal;
  readonly #deps: HttpSseDeps;
  readonly #elsewhere: MessagesElsewhere | undefined;
  readonly #prefix: string;
  readonly #connections = new Map<string, EventStreamConnection>();
  #draining = false;

  constructor(admission: Admission, seal: SessionSeal, deps: HttpSseDeps) {
    this.#admission = admission;
    this.#seal = seal;
    this.#deps = deps;
    this.#elsewhere = deps.talk && new MessagesElsewhere(deps.talk, (id, bytes) => this.#takeFromElsewhere(id, bytes));
    this.#prefix = new URL(deps.config.publicUrl).pathname.replace(/\/$/, '');
  }

  /** Never throws and always answers. */
  async handle(request: IncomingMessage, response: ServerResponse, path: TransportPath): Promise<void> {
    const method = METHODS[path.transport];
    const allow = `${method}, OPTIONS`;
    if (request.method === 'OPTIONS')
      return void response.writeHead(204, { Allow: allow, 'Content-Length': '0' }).end();
    if (request.method !== method)
      return this.#refuse(request, response, path, {
        status: 405,
        reason: 'method_not_allowed',
        message: `use ${method}`,
        headers: { Allow: allow },
      });
    if (path.transport === 'ws') return this.#refuse(request, response, path, UPGRADE);
    const admitted = await this.#admission.admit(request, path);
    if ('reason' in admitted) return this.#refuse(request, response, path, admitted);
    if (path.transport === 'messages') return this.#receive(request, response, path, admitted);
    request.resume();
    const hold = this.#draining ? DRAINING : this.#deps.budgets.of(ownerKey(admitted.identity)).take({ streams: 1 });
    if ('status' in hold) return this.#refuse(request, response, path, hold, { admitted });
    if (response.destroyed) hold.release();
    else this.#open(response, admitted, hold);
  }

  /** Takes no new stream and no new request, ends each stream when its requests are answered, and all after `grace`. */
  async close(grace: number): Promise<void> {
    this.#draining = true;
    const open = [...this.#connections.values()];
    for (const connection of open) connection.drain();
    const all = Promise.all(open.map(({ closed }) => closed));
    const late = new AbortController();
    await Promise.race([all, sleep(grace, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    for (const connection of open) connection.end('draining');
    await all;
    this.#elsewhere?.close();
  }

  #open(response: ServerResponse, admitted: Admitted, hold: Hold): void {
    const { server, identity } = admitted;
    const id = `http-sse ${randomUUID()}`;
    const sealed = this.#seal.seal(server, id, ownerKey(identity));
    const endpoint = `${this.#prefix}${pathOf(server)}/messages?sessionId=${sealed}`;
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
      this.#refuse(request, response, path, refusal, { admitted, id });
    const { headers } = admitted;
    const opened = this.#session(path, admitted);
    if ('reason' in opened) return refuse(opened);
    const connection = this.#connections.get(opened.upstreamId);
    if (connection === undefined && this.#elsewhere === undefined) return refuse(noSession('session_unknown'));
    const hold = this.#deps.budgets.of(ownerKey(admitted.identity)).take({});
    if ('status' in hold) return refuse(hold);
    releaseWith(response, hold);
    const body = await readBody(request, headers.get('content-type'), this.#deps.config.relay.limits.body, hold);
    if (body.kind === 'gone') return;
    if (body.kind === 'refused') return refuse(body.refusal);
    const parsed = parseMessage(body.bytes);
    if ('refusal' in parsed) return refuse(parsed.refusal, parsed.id);
    const { message } = parsed;
    const mismatch = headerMismatch('legacy', headers.get, message) ?? insufficientScope(admitted.demand, message);
    if (mismatch !== undefined) return refuse(mismatch, message.id ?? null);
    const handed =
      connection === undefined
        ? await this.#hand(opened.upstreamId, body.bytes)
        : take(connection, message, body.bytes);
    if (handed === 'nobody') return refuse(noSession('session_unknown'), message.id ?? null);
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
  async #hand(id: string, bytes: Buffer): Promise<Handed | Refusal> {
    try {
      return (await this.#elsewhere?.hand(id, bytes)) ?? 'nobody';
    } catch (error) {
      return refusalOf(error);
    }
  }

  #takeFromElsewhere(id: string, bytes: Buffer): 'taken' | 'full' | undefined {
    const connection = this.#connections.get(id);
    if (connection === undefined) return undefined;
    const parsed = parseMessage(bytes);
    return 'refusal' in parsed ? undefined : take(connection, parsed.message, bytes);
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    path: TransportPath,
    refusal: Refusal,
    known: { admitted?: Admitted; id?: MessageId } = {},
  ): void {
    this.#admission.refused(request, path, refusal, known.admitted);
    if (!request.readableEnded) request.resume();
    if (!response.headersSent && !response.destroyed) sendRefusal(response, refusal, known.id ?? null);
  }
}

/** A client that does not read its stream gets no more room by sending more. */
function take({ channel }: EventStreamConnection, message: Message, bytes: Buffer): 'taken' | 'full' {
  if (channel.saturated) return 'full';
  channel.accept(message, bytes);
  return 'taken';
}
