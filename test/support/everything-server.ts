import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './child.ts';

/** The MCP project's own example server, Streamable HTTP with sessions, at `/mcp`. */
export function startEverythingServer(port: number): Promise<Child> {
  const entry = fileURLToPath(
    new URL('../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
  );
  return startChild('server-everything', process.execPath, [entry, 'streamableHttp'], {
    env: { PORT: String(port) },
    ready: `http://127.0.0.1:${port}/mcp`,
  });
}
