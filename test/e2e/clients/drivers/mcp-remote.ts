import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { authorizeAs } from '../../../forward-auth/mcp-authorization/support/broker-gate.ts';
import { HttpPerson } from '../../../support/http-person.ts';
import { listening } from '../../../support/listening.ts';
import { type ClientDriver, textOf } from './driver.ts';

async function visit(person: HttpPerson, url: string): Promise<void> {
  await listening(new URL(new URL(url).searchParams.get('redirect_uri') ?? ''));
  await authorizeAs(person, url);
}

/** `mcp-remote` between a client that knows pipes only and the server; it says on standard error where to sign in. */
export const MCP_REMOTE: ClientDriver = {
  name: 'mcp-remote',
  needs: ['node', 'mcp-remote'],
  can: { document: false, stepUp: true },
  start: async ({ endpoint, callbackPort, folder, programs }) => {
    const { node = '', 'mcp-remote': proxy = '' } = programs;
    const transport = new StdioClientTransport({
      command: node,
      args: [proxy, endpoint, String(callbackPort), '--host', '127.0.0.1', '--auth-timeout', '60'],
      // No browser of the machine may be found: the person is this test.
      env: { PATH: '/nonexistent', HOME: folder, MCP_REMOTE_CONFIG_DIR: folder },
      stderr: 'pipe',
    });
    const person = new HttpPerson();
    const visited = new Set<string>();
    let output = '';
    transport.stderr?.on('data', (chunk: Buffer) => {
      output += String(chunk);
      for (const [url] of output.matchAll(/^https?:\/\/\S+\/authorize\?\S+(?=\n)/gm)) {
        if (visited.has(url)) continue;
        visited.add(url);
        void visit(person, url).catch((error: unknown) => {
          output += `\nthe person came no further: ${String(error)}\n`;
        });
      }
    });
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    try {
      await client.connect(transport as Transport);
    } catch (error) {
      await client.close();
      throw new Error(`mcp-remote did not connect: ${output}`, { cause: error });
    }
    return {
      call: async (name) => {
        try {
          return textOf(await client.callTool({ name }));
        } catch (error) {
          throw new Error(`${String(error)}\n${output}`, { cause: error });
        }
      },
      stop: () => client.close(),
    };
  },
};
