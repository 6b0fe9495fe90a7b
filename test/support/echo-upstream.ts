import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Name and value alternating, as received. */
  readonly rawHeaders: readonly string[];
  /** As received, whole once it has been answered. */
  body: string;
}

/** An MCP server that keeps what reached it and answers every JSON-RPC request with an empty result. */
export interface EchoUpstream {
  readonly port: number;
  readonly seen: SeenRequest[];
  stop(): Promise<void>;
}

export async function startEchoUpstream(port = 0): Promise<EchoUpstream> {
  const seen: SeenRequest[] = [];
  const server: Server = createServer((request, response) => {
    const { method = '', url = '', rawHeaders } = request;
    const entry = { method, url, rawHeaders, body: '' };
    seen.push(entry);
    request.setEncoding('utf8').on('data', (text: string) => {
      entry.body += text;
    });
    request.on('end', () => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id: idOf(entry.body), result: { content: [] } }));
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function idOf(body: string): unknown {
  try {
    return (JSON.parse(body) as { id?: unknown }).id ?? null;
  } catch {
    return null;
  }
}
