import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type ClientDriver, textOf } from './driver.ts';

const run = promisify(execFile);

/** MCP Inspector on the command line: a process for each call, which keeps its tokens in a file. */
export const INSPECTOR: ClientDriver = {
  name: 'MCP Inspector (--cli)',
  needs: ['node', 'inspector'],
  // With a refresh token at hand it renews the token where it should ask for more, and then gives up (2.12.0).
  can: { document: true, stepUp: false },
  start: async ({ endpoint, document, callbackPort, folder, browser, programs }) => {
    const { node = '', inspector = '' } = programs;
    return {
      call: async (tool) => {
        const { stdout } = await run(
          node,
          [
            ...[inspector, '--cli', endpoint, '--transport', 'http', '--method', 'tools/call', '--tool-name', tool],
            ...['--callback-url', `http://127.0.0.1:${callbackPort}/oauth/callback`],
            ...(document === undefined ? [] : ['--client-metadata-url', document]),
          ],
          {
            timeout: 60_000,
            env: {
              PATH: `${dirname(node)}:${process.env.PATH}`,
              HOME: folder,
              BROWSER: browser,
              MCP_AUTO_OPEN_ENABLED: 'true',
              MCP_INSPECTOR_SECRET_STORE: 'file',
              MCP_CATALOG_PATH: join(folder, 'mcp.json'),
            },
          },
        );
        return textOf(JSON.parse(stdout.slice(stdout.indexOf('{'))));
      },
      stop: async () => {},
    };
  },
};
