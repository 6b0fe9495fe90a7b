import {
  type ElicitRequestFormParams,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { text } from './tools.ts';

/** Asks a person, which with sessions the package does on the stream of the call. @param told what the answer is told by */
function ask({ inputResponses }: ServerContext['mcpReq'], params: Omit<ElicitRequestFormParams, 'mode'>, told: string) {
  const answer = inputResponse(inputResponses, 'asked');
  return answer.kind === 'elicit'
    ? text(`${told}: action=${answer.action}, content=${JSON.stringify(answer.content)}`)
    : inputRequired({ inputRequests: { asked: inputRequired.elicit(params) } });
}

/** Tools that ask the client something, as the scenarios of the sessions' era call them. */
export function registerQuestions(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'asks a model', inputSchema: z.object({ prompt: z.string() }) },
    ({ prompt }, { mcpReq }) => {
      const answer = inputResponse(mcpReq.inputResponses, 'asked');
      if (answer.kind === 'sampling') {
        const { content } = answer.result;
        return text(`LLM response: ${'text' in content ? content.text : JSON.stringify(content)}`);
      }
      const asked = inputRequired.createMessage({
        messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
        maxTokens: 100,
      });
      return inputRequired({ inputRequests: { asked } });
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'asks a person', inputSchema: z.object({ message: z.string() }) },
    ({ message }, { mcpReq }) => {
      const asked: Parameters<typeof ask>[1] = {
        message,
        requestedSchema: {
          type: 'object',
          properties: {
            username: { type: 'string', description: "User's response" },
            email: { type: 'string', description: "User's email address" },
          },
          required: ['username', 'email'],
        },
      };
      return ask(mcpReq, asked, 'User response');
    },
  );
  server.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'asks a person, with answers to start from' },
    ({ mcpReq }) => {
      const asked: Parameters<typeof ask>[1] = {
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
      };
      return ask(mcpReq, asked, 'Elicitation completed');
    },
  );
  server.registerTool(
    'test_elicitation_sep1330_enums',
    { description: 'asks a person to choose, in five ways' },
    ({ mcpReq }) => {
      const options = ['option1', 'option2', 'option3'];
      const titled = (titles: readonly string[]) =>
        titles.map((title, index) => ({ const: `value${index + 1}`, title }));
      const asked: Parameters<typeof ask>[1] = {
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
      };
      return ask(mcpReq, asked, 'Elicitation completed');
    },
  );
}
