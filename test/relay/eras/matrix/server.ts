import { appendFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { completable, type InputRequests, inputRequired, inputResponse, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** How a test and a server in another process tell each other something: files in this folder. */
export const CANCELLED = 'cancelled';
export const CHANGES = 'changes';
export const WATCHED = 'test://1';

const PAGES = 3;
const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: JSON.stringify(value) }] });
const QUESTION = {
  message: 'who?',
  requestedSchema: { type: 'object' as const, properties: { name: { type: 'string' as const } } },
};
const SAMPLE = {
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'hm' } }],
  maxTokens: 10,
};

/** One server with a tool for each thing that the protocol can do, by the MCP project's own package. */
export function matrixServer(era: 'legacy' | 'modern', folder: string): McpServer {
  const server = new McpServer(
    { name: 'matrix', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
      },
      instructions: 'Be kind.',
    },
  );
  server.registerTool('echo', { inputSchema: z.object({ value: z.string() }) }, ({ value }) => text(value));
  server.registerTool('fail', {}, () => {
    throw new Error('on purpose');
  });
  server.registerTool('progress', {}, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [1, 2]) {
      await mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken: progressToken as string, progress },
      });
      // The first package's client drops what comes in one piece with the answer.
      await sleep(50);
    }
    return text('done');
  });
  server.registerTool('log', {}, async ({ mcpReq }) => {
    await mcpReq.log('info', 'logged');
    return text('done');
  });
  server.registerTool('wait', {}, async ({ mcpReq }) => {
    appendFileSync(join(folder, 'waiting'), 'one\n');
    while (!mcpReq.signal.aborted) await sleep(10);
    appendFileSync(join(folder, CANCELLED), 'one\n');
    return text('done');
  });
  server.registerPrompt(
    'greet',
    {
      argsSchema: z.object({
        who: completable(z.string(), (start) => ['anna', 'anton'].filter((name) => name.startsWith(start))),
      }),
    },
    ({ who }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Hello ${who}` } }] }),
  );
  registerQuestions(server, era);
  registerResources(server, era);
  return server;
}

function registerQuestions(server: McpServer, era: 'legacy' | 'modern'): void {
  if (era === 'legacy') {
    server.registerTool('elicit', {}, async ({ mcpReq }) => {
      const { content } = await mcpReq.send({ method: 'elicitation/create', params: QUESTION });
      return text(content);
    });
    server.registerTool('sample', {}, async ({ mcpReq }) => {
      const { content } = await mcpReq.send({ method: 'sampling/createMessage', params: SAMPLE });
      return text(content);
    });
    server.registerTool('roots', {}, async ({ mcpReq }) => text((await mcpReq.send({ method: 'roots/list' })).roots));
    return;
  }
  const asking = (inputRequests: InputRequests) => inputRequired({ inputRequests });
  server.registerTool('elicit', {}, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'it');
    return answer.kind === 'elicit' && answer.action === 'accept'
      ? text(answer.content)
      : asking({ it: inputRequired.elicit(QUESTION) });
  });
  server.registerTool('sample', {}, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'it');
    return answer.kind === 'sampling'
      ? text(answer.result.content)
      : asking({ it: inputRequired.createMessage(SAMPLE) });
  });
  server.registerTool('roots', {}, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'it');
    return answer.kind === 'roots' ? text(answer.roots) : asking({ it: inputRequired.listRoots() });
  });
}

/** In pages, which the package itself does not make. */
function registerResources({ server }: McpServer, era: 'legacy' | 'modern'): void {
  server.setRequestHandler('resources/list', ({ params }) => {
    const page = Number(params?.cursor ?? 1);
    return {
      resources: [{ uri: `test://${page}`, name: `resource ${page}` }],
      ...(page < PAGES && { nextCursor: String(page + 1) }),
    };
  });
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [{ uriTemplate: 'test://{number}', name: 'by number' }],
  }));
  server.setRequestHandler('resources/read', ({ params }) => ({
    contents: [{ uri: params.uri, text: `text of ${params.uri}` }],
  }));
  if (era === 'modern') return;
  server.setRequestHandler('resources/subscribe', () => ({}));
  server.setRequestHandler('resources/unsubscribe', () => ({}));
}

/** Calls `tell` whenever the test writes to the file of changes. */
export function onChanges(folder: string, tell: () => void): NodeJS.Timeout {
  const size = () => statSync(join(folder, CHANGES), { throwIfNoEntry: false })?.size;
  let seen = size();
  return setInterval(() => {
    const found = size();
    if (found !== seen) tell();
    seen = found;
  }, 30);
}
