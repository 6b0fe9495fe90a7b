import {
  completable,
  inputRequired,
  inputResponse,
  type McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { z } from 'zod';

/** One red pixel. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** The header of a sound without samples. */
export const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

/** Resources by the names that the conformance scenarios ask for. */
export function registerResources(server: McpServer): void {
  const text = (uri: string, content: string, mimeType = 'text/plain') => ({
    contents: [{ uri, mimeType, text: content }],
  });
  server.registerResource(
    'static-text',
    'test://static-text',
    { description: 'a text', mimeType: 'text/plain' },
    ({ href }) => text(href, 'This is the content of the static text resource.'),
  );
  server.registerResource(
    'static-binary',
    'test://static-binary',
    { description: 'a picture', mimeType: 'image/png' },
    ({ href }) => ({ contents: [{ uri: href, mimeType: 'image/png', blob: PNG }] }),
  );
  server.registerResource(
    'watched-resource',
    'test://watched-resource',
    { description: 'a text that can be subscribed to', mimeType: 'text/plain' },
    ({ href }) => text(href, 'Nothing has changed.'),
  );
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'data by id', mimeType: 'application/json' },
    (uri, { id }) =>
      text(uri.href, JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }), 'application/json'),
  );
}

/** Prompts by the names that the conformance scenarios ask for. */
export function registerPrompts(server: McpServer): void {
  const says = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } });
  server.registerPrompt('test_simple_prompt', { description: 'without arguments' }, () => ({
    messages: [says('This is a simple prompt for testing.')],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'with two arguments',
      argsSchema: z.object({
        arg1: completable(z.string().describe('First test argument'), (start) =>
          ['paris', 'park', 'party'].filter((word) => word.startsWith(start)),
        ),
        arg2: z.string().describe('Second test argument'),
      }),
    },
    ({ arg1, arg2 }) => ({ messages: [says(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'with a resource', argsSchema: z.object({ resourceUri: z.string().describe('which to embed') }) },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
          },
        },
        says('Please process the embedded resource above.'),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'with a picture' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      says('Please analyze the image above.'),
    ],
  }));
  server.registerPrompt('test_input_required_result_prompt', { description: 'asks before it answers' }, (context) => {
    const answer = inputResponse(context.mcpReq.inputResponses, 'user_context');
    if (answer.kind !== 'missing') return { messages: [says(`In this context: ${JSON.stringify(answer)}`)] };
    return inputRequired({
      inputRequests: {
        user_context: inputRequired.elicit({
          message: 'What context should the prompt use?',
          requestedSchema: { type: 'object', properties: { context: { type: 'string' } }, required: ['context'] },
        }),
      },
    });
  });
}
