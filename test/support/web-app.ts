import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A web application behind the gate: pages for a browser, and what it was told about each visitor. */
export interface WebApp {
  readonly port: number;
  readonly seen: Array<{ readonly url: string; readonly headers: IncomingHttpHeaders }>;
  stop(): Promise<void>;
}

export async function startWebApp(): Promise<WebApp> {
  const seen: WebApp['seen'] = [];
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    seen.push({ url, headers: request.headers });
    request.resume();
    if (url === '/favicon.ico') return void response.writeHead(204).end();
    if (url === '/app/taste') response.setHeader('Set-Cookie', 'taste=vanilla; Path=/; SameSite=Lax');
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    const user = String(request.headers['x-authenticated-user'] ?? '').replace(/[^\w-]/g, '');
    response.end(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>App</title>
<main><h1>The app</h1><p id="user">${user}</p></main></html>`);
  });
  server.listen(0, '127.0.0.1');
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
