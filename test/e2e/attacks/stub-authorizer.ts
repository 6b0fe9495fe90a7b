import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What stands in forward-auth's place says to every question: a status, nothing, or it cuts the connection. */
export type Said = number | 'nothing' | 'reset';

/** An authorizer of which the test decides how it fails. The proxy's own question whether it serves is answered. */
export async function startStubAuthorizer(said: Said) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/_postern/')) return void response.end('{"keys":[]}');
    asked.push(request);
    if (said === 'reset') return void request.socket.destroy();
    if (said !== 'nothing') response.writeHead(said, { 'X-Authenticated-User': '' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
