import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as send } from 'node:http';
import { WebSocket } from 'ws';
import { ACCEPT, INITIALIZE, INITIALIZED, USER } from '../protocol/numbers/clients.ts';
import { ask, onEnd } from '../support/relay.ts';

/** One client with an open session, in the hands of a test. */
export interface Connection {
  /** Sends a message without waiting for what comes of it. */
  send(message: string): void;
  /** Takes a call back, by a notification or, where there is none, by leaving. */
  cancel(id: number, reason: string): void;
  /** All that has come back. */
  readonly text: string;
  /** It has been closed by the relay, as only a connection that lasts can be. */
  readonly ended: boolean;
}

/** @param capabilities of the client */
export type Connect = (port: number, path: string, capabilities?: object) => Promise<Connection>;

function initialize(capabilities: object = {}): string {
  return INITIALIZE.replace('"capabilities":{}', `"capabilities":${JSON.stringify(capabilities)}`);
}

/** Clients of the sessions' era, by the transports that they have. */
export const CONNECTIONS: Readonly<Record<string, Connect>> = {
  'streamable HTTP': async (port, path, capabilities) => {
    const post = (body: string, headers: string[] = []) =>
      ask(port, { path: `${path}/mcp`, headers: [...USER, ...ACCEPT, ...headers], body });
    const session = String((await post(initialize(capabilities))).headers['mcp-session-id']);
    const headers = ['Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18'];
    await post(INITIALIZED, headers);
    const posted = posting(port, path, () => headers);
    return Object.assign(posted, { cancel: cancelling(posted.send) });
  },
  WebSocket: async (port, path, capabilities) => {
    const headers = { 'X-Authenticated-User': 'alice' };
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}/ws`, 'mcp', { headers });
    onEnd(() => socket.terminate());
    await once(socket, 'open');
    socket.send(initialize(capabilities));
    await once(socket, 'message');
    socket.send(INITIALIZED);
    const came: string[] = [];
    socket.on('message', (data) => came.push(String(data)));
    let ended = false;
    socket.on('close', () => {
      ended = true;
    });
    return {
      get ended() {
        return ended;
      },
      send: (message) => socket.send(message),
      cancel: cancelling((message) => socket.send(message)),
      get text() {
        return came.join('\n');
      },
    };
  },
  'HTTP+SSE': async (port, path, capabilities) => {
    const headers = ['Host', 'mcp.example.com', ...USER, 'Accept', 'text/event-stream'];
    const request = send({ host: '127.0.0.1', port, path: `${path}/sse`, headers, agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    onEnd(() => response.destroy());
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', () => {});
    while (!text.includes('\n\n')) await once(response, 'data');
    const endpoint = /data: (\S+)/.exec(text)?.[1] as string;
    const post = (body: string) => ask(port, { path: endpoint, headers: USER, body });
    await post(initialize(capabilities));
    while (!text.includes('"protocolVersion"')) await once(response, 'data');
    await post(INITIALIZED);
    text = '';
    return {
      get ended() {
        return response.destroyed;
      },
      send: (message) => void post(message).catch(() => {}),
      cancel: cancelling((message) => void post(message).catch(() => {})),
      get text() {
        return text;
      },
    };
  },
};

/** A client of the stateless era. */
export const STATELESS: Connect = async (port, path, capabilities = {}) => {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
  const fieldsOf = (message: string) => {
    const { method, params } = JSON.parse(message) as { method: string; params: { name: string } };
    return ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', method, 'Mcp-Name', params.name];
  };
  const connection = posting(port, path, fieldsOf);
  return {
    get text() {
      return connection.text;
    },
    ended: false,
    cancel: connection.cancel,
    send: (message) => connection.send(message.replace('"params":{', `"params":{"_meta":${JSON.stringify(meta)},`)),
  };
};

function cancelling(send: (message: string) => void): Connection['cancel'] {
  return (requestId, reason) =>
    send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason } }));
}

/** Posts each message by itself, reads what comes of it as it comes, and asks for the rest of a stream that is closed to be polled. */
function posting(port: number, path: string, fieldsOf: (message: string) => string[]): Connection {
  const always = [...USER, ...ACCEPT, 'Host', 'mcp.example.com'];
  let text = '';
  let last: ClientRequest | undefined;
  const request = (method: string, fields: string[], body?: string) => {
    const headers = [...always, ...fields];
    const options = { host: '127.0.0.1', port, path: `${path}/mcp`, method, agent: false, headers };
    const sent = send(options, (response) => {
      let own = '';
      response.on('error', () => {});
      response.setEncoding('utf8').on('data', (chunk: string) => {
        own += chunk;
        text += chunk;
      });
      response.on('end', () => {
        text += '\n';
        const lastEventId = /^id: (.*)$/m.exec(own)?.[1];
        const isAnswered = /"(?:result|error)"/.test(own);
        if (lastEventId !== undefined && !isAnswered)
          request('GET', [...fieldsOf(body ?? ''), 'Last-Event-ID', lastEventId]);
      });
    });
    sent.on('error', () => {});
    sent.end(body);
    last = sent;
  };
  return {
    ended: false,
    cancel: () => last?.destroy(),
    get text() {
      return text;
    },
    send: (message) => {
      const length = ['Content-Length', String(Buffer.byteLength(message)), 'Content-Type', 'application/json'];
      request('POST', [...length, ...fieldsOf(message)], message);
    },
  };
}
