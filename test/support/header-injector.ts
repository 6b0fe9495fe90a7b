import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Adds header fields to whatever comes, for programs that can send none, and passes everything else on as it is. `Host` and
 * `Origin` become the target's where they are the injector's own.
 *
 * @returns its address, with the path of the target
 */
export async function startHeaderInjector(
  target: string,
  added: Readonly<Record<string, string>>,
): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port, host, origin, pathname } = new URL(target);
  const server = createServer((incoming, response) => {
    const own = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const headers = { ...incoming.headers, ...added };
    if (headers.host === own) headers.host = host;
    if (headers.origin === `http://${own}`) headers.origin = origin;
    const outgoing = request(
      {
        host: hostname,
        port,
        path: incoming.url,
        method: incoming.method,
        headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        response.flushHeaders();
        answer.pipe(response);
      },
    );
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
