import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openCallbackPage } from '../../../forward-auth/mcp-authorization/support/mcp-client.ts';
import type { ClientDriver, RunningClient, Surroundings } from './driver.ts';

const SCRIPT = fileURLToPath(new URL('../client.py', import.meta.url));

async function start(kind: 'mcp' | 'fastmcp', surroundings: Surroundings): Promise<RunningClient> {
  const { endpoint, document = '-', callbackPort, folder, browser, programs } = surroundings;
  // The official client leaves this page to its application.
  const page = kind === 'mcp' ? await openCallbackPage(callbackPort) : undefined;
  const child = spawn(programs.python ?? '', [SCRIPT, kind, endpoint, String(callbackPort), document], {
    // With `&` Python does not wait for the browser, which would wait for a page that is opened afterwards.
    env: { PATH: process.env.PATH, HOME: folder, BROWSER: kind === 'mcp' ? browser : `${browser} %s &` },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<{ text?: string; error?: string }> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the program ended: ${output}`);
      // What the browser prints is there as well.
      if (value.startsWith('{')) return JSON.parse(value) as { text?: string; error?: string };
    }
  };
  const stop = async () => {
    const exit = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await exit;
    await page?.stop();
  };
  try {
    await next();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    call: async (tool) => {
      child.stdin.write(`${tool}\n`);
      const { text, error } = await next();
      if (text === undefined) throw new Error(`${error}\n${output}`);
      return text;
    },
    stop,
  };
}

export const PYTHON_MCP: ClientDriver = {
  name: 'mcp (Python)',
  needs: ['python'],
  can: { document: true, stepUp: true },
  start: (surroundings) => start('mcp', surroundings),
};

export const FASTMCP: ClientDriver = {
  name: 'fastmcp (Python)',
  needs: ['python'],
  can: { document: true, stepUp: true },
  start: (surroundings) => start('fastmcp', surroundings),
};
