import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
  UnauthorizedError as ModernUnauthorized,
} from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { openCallbackPage } from '../../../forward-auth/mcp-authorization/support/mcp-client.ts';
import { type ClientDriver, type RunningClient, type Surroundings, textOf } from './driver.ts';
import { PersonProvider } from './person-provider.ts';

const ABOUT = { name: 'e2e', version: '1.0.0' };

/** What both versions have in common. */
interface Connection {
  connect(): Promise<unknown>;
  call(tool: string): Promise<unknown>;
  finish(back: URLSearchParams): Promise<void>;
  close(): Promise<void>;
}

const connectV1 = ({ endpoint }: Surroundings, authProvider: PersonProvider): Connection => {
  const client = new Client(ABOUT);
  const transport = new StreamableHTTPClientTransport(new URL(endpoint), { authProvider });
  return {
    connect: () => client.connect(transport as Transport),
    call: (name) => client.callTool({ name }),
    finish: (back) => transport.finishAuth(back.get('code') ?? ''),
    close: () => client.close(),
  };
};

/** The transport of 2024-11-05, which signs in by itself as the newer one does. */
const connectSse = ({ endpoint }: Surroundings, authProvider: PersonProvider): Connection => {
  const client = new Client(ABOUT);
  const transport = new SSEClientTransport(new URL(endpoint.replace(/mcp$/, 'sse')), { authProvider });
  return {
    connect: () => client.connect(transport),
    call: (name) => client.callTool({ name }),
    finish: (back) => transport.finishAuth(back.get('code') ?? ''),
    close: () => client.close(),
  };
};

const connectV2 = ({ endpoint }: Surroundings, authProvider: PersonProvider): Connection => {
  const client = new ModernClient(ABOUT, { versionNegotiation: { mode: 'auto' } });
  const transport = new ModernTransport(new URL(endpoint), { authProvider });
  return {
    connect: () => client.connect(transport),
    call: (name) => client.callTool({ name }),
    finish: (back) => transport.finishAuth(back),
    close: () => client.close(),
  };
};

async function start(surroundings: Surroundings, open: typeof connectV1): Promise<RunningClient> {
  const page = await openCallbackPage(surroundings.callbackPort);
  const { document } = surroundings;
  const provider = new PersonProvider(page.url, document === undefined ? {} : { metadataUrl: document });
  let connection = open(surroundings, provider);
  /** Goes on after the person is back, as both packages document it. */
  const signingIn = async <T>(again: () => Promise<T>, first: () => Promise<T> = again): Promise<T> => {
    try {
      return await first();
    } catch (error) {
      if (!(error instanceof UnauthorizedError) && !(error instanceof ModernUnauthorized)) throw error;
      await connection.finish(provider.take());
      return again();
    }
  };
  const stop = async () => {
    await connection.close();
    await page.stop();
  };
  try {
    await signingIn(
      () => {
        connection = open(surroundings, provider);
        return connection.connect();
      },
      () => connection.connect(),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    call: async (tool) => {
      try {
        return textOf(await signingIn(() => connection.call(tool)));
      } catch (error) {
        if (!(error instanceof StreamableHTTPError && error.code === 403)) throw error;
        // With a refresh token at hand, version 1 renews the token where it should ask for more, and gives up. Its
        // application can forget that token and come again.
        provider.forgetRefreshToken();
        await connection.close();
        connection = open(surroundings, provider);
        await connection.connect();
        return textOf(await signingIn(() => connection.call(tool)));
      }
    },
    stop,
  };
}

const can = { document: true, stepUp: true } as const;

export const SDK_V1: ClientDriver = {
  name: '@modelcontextprotocol/sdk',
  needs: [],
  can,
  start: (surroundings) => start(surroundings, connectV1),
};

export const SDK_V2: ClientDriver = {
  name: '@modelcontextprotocol/client',
  needs: [],
  can,
  start: (surroundings) => start(surroundings, connectV2),
};

export const SDK_V1_SSE: ClientDriver = {
  name: '@modelcontextprotocol/sdk over HTTP+SSE',
  needs: [],
  can: { document: true, stepUp: false },
  start: (surroundings) => start(surroundings, connectSse),
};
