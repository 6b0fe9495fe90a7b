import type { ElicitRequestFormParams, ElicitResult, McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { text } from './tools.ts';

/** On the stream of the call itself: `elicitInput` would use the GET stream, and lose the question where none is open yet. */
function ask({ send }: ServerContext['mcpReq'], params: ElicitRequestFormParams): Promise<ElicitResult> {
  return send({ method: 'elicitation/create', params: { ...params } });
}

/** Tools that ask the client something on the open stream, as the sessions' era has it. */
export function registerQuestions(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'asks a model', inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, { mcpReq }) => {
      const answer = await mcpReq.send({
        method: 'sampling/createMessage',
        params: {
          messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
          maxTokens: 100,
        },
      });
      const { content } = answer;
      return text(`LLM response: ${'text' in content ? content.text : JSON.stringify(content)}`);
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'asks a person', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, { mcpReq }) => {
      const { action, content } = await ask(mcpReq, {
        message,
        requestedSchema: {
          type: 'object',
          properties: {
            username: { type: 'string', description: "User's response" },
            email: { type: 'string', description: "User's email address" },
          },
          required: ['username', 'email'],
        },
      });
      return text(`User response: action=${action}, content=${JSON.stringify(content)}`);
    },
  );
  server.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'asks a person, with answers to start from' },
    async ({ mcpReq }) => {
      const { action, content } = await ask(mcpReq, {
        message: 'Please look through these',
        requestedSchema: {
          type: 'object',
          properties: {
            name: { type: 'string', default: 'John Doe' },
            age: { type: 'integer', default: 30 },
            score: { type: 'number', default: 95.5 },
            status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
            verified: { type: 'boolean', default: true },
          },
        },
      });
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
    },
  );
  server.registerTool(
    'test_elicitation_sep1330_enums',
    { description: 'asks a person to choose, in five ways' },
    async ({ mcpReq }) => {
      const options = ['option1', 'option2', 'option3'];
      const titled = (titles: readonly string[]) =>
        titles.map((title, index) => ({ const: `value${index + 1}`, title }));
      const { action, content } = await ask(mcpReq, {
        message: 'Please choose',
        requestedSchema: {
          type: 'object',
          properties: {
            untitledSingle: { type: 'string', enum: options },
            titledSingle: { type: 'string', oneOf: titled(['First Option', 'Second Option', 'Third Option']) },
            legacyEnum: {
              type: 'string',
              enum: ['opt1', 'opt2', 'opt3'],
              enumNames: ['Option One', 'Option Two', 'Option Three'],
            },
            untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
            titledMulti: {
              type: 'array',
              items: { anyOf: titled(['First Choice', 'Second Choice', 'Third Choice']) },
            },
          },
        },
      });
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
    },
  );
}
