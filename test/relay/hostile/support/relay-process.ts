import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { stringify } from 'yaml';
import { withLinkedSignal } from '../../../../src/platform/abort.ts';
import { scratchFolder } from '../../../hostile/support/scratch-folder.ts';
import { type Child, startChild } from '../../../support/child.ts';
import { freePorts } from '../../../support/free-port.ts';
import { POSTERN_COMMAND } from '../../../support/postern-process.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A relay in a process of its own, with one honest server, `good`, beside those of the test. */
export interface RelayProcess {
  readonly port: number;
  readonly internalPort: number;
  readonly child: Child;
  /** Posts a message as this user. @throws DOMException where no answer has come in time */
  post(server: string, message: object | string, options?: PostOptions): Promise<Reply>;
  /** Ends a session at this server. */
  end(server: string, session: string): Promise<void>;
  /** Another user's call at the honest server; throws where it is not answered as ever. */
  goodCall(): Promise<void>;
  /** One value of the process's metrics. */
  metric(name: string): Promise<number>;
  /** File descriptors that the process holds. */
  openFiles(): Promise<number>;
  stop(): Promise<number | undefined>;
}

export interface PostOptions {
  readonly user?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly patience?: number;
  readonly signal?: AbortSignal;
}

export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'hostile-suite', version: '1' } },
};

const ACCEPT = 'application/json, text/event-stream';

export async function startRelayProcess(
  servers: Readonly<Record<string, object>>,
  settings: { readonly relay?: object; readonly root?: object } = {},
): Promise<RelayProcess> {
  const good = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":"good","result":{"content":[]}}');
    });
  });
  const [goodPort, port, internalPort] = (await freePorts(3)) as [number, number, number];
  await new Promise<void>((resolve) => good.listen(goodPort, '127.0.0.1', resolve));
  const folder = await scratchFolder();
  const file = `${folder.path}/postern.yaml`;
  const config = {
    publicUrl: 'https://mcp.example.com',
    drain: '100ms',
    ...settings.root,
    relay: {
      listen: `127.0.0.1:${port}`,
      internalListen: `127.0.0.1:${internalPort}`,
      servers: { good: { url: `http://127.0.0.1:${goodPort}/mcp`, era: 'both' }, ...servers },
      ...settings.relay,
    },
  };
  await writeFile(file, stringify(config));
  const child = await startChild('postern relay', process.execPath, [...POSTERN_COMMAND, 'relay', '--config', file], {
    env: { NODE_OPTIONS: '--max-old-space-size=400' },
    ready: `http://127.0.0.1:${internalPort}/readyz`,
    readyOk: true,
    patience: 80_000,
  });

  const post = async (
    server: string,
    message: object | string,
    { user = 'mallory', headers, patience = 10_000, signal }: PostOptions = {},
  ) => {
    const ask = async (until: AbortSignal) => {
      const answer = await fetch(`http://127.0.0.1:${port}/servers/${server}/mcp`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: ACCEPT, 'X-Authenticated-User': user, ...headers },
        body: typeof message === 'string' ? message : JSON.stringify(message),
        signal: until,
      });
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    };
    return withLinkedSignal(signal === undefined ? [] : [signal], ask, patience);
  };
  return {
    port,
    internalPort,
    child,
    post,
    end: async (server, session) => {
      const headers = { 'X-Authenticated-User': 'mallory', 'Mcp-Session-Id': session };
      const url = `http://127.0.0.1:${port}/servers/${server}/mcp`;
      await (await fetch(url, { method: 'DELETE', headers })).body?.cancel();
    },
    goodCall: async () => {
      const call = { jsonrpc: '2.0', id: 'good', method: 'tools/call', params: { name: 'work' } };
      const answer = await post('good', call, { user: 'alice', patience: 30_000 });
      if (answer.status !== 200 || !answer.text.includes('"id":"good"'))
        throw new Error(`the honest server's answer became ${answer.status} ${answer.text}`);
    },
    metric: async (name) => {
      const text = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text();
      const line = text.split('\n').find((candidate) => candidate.startsWith(name));
      return Number(line?.split(' ').at(-1));
    },
    openFiles: async () => (await readdir(`/proc/${child.pid}/fd`)).length,
    stop: async () => {
      const code = await child.stop();
      good.closeAllConnections();
      await new Promise((resolve) => good.close(resolve));
      await folder.remove();
      return code;
    },
  };
}
