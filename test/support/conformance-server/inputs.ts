import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { text } from './tools.ts';

/** What the tools below remember between two rounds. */
export interface Progress {
  readonly round: number;
}

type AskedFor = { readonly type: 'string' } | { readonly type: 'boolean' };

const ask = (message: string, property: string, answer: AskedFor = { type: 'string' }) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [property]: answer }, required: [property] },
  });

const sample = (question: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: question } }], maxTokens });

/** What a modern client says with each request that it can do; undefined: it is none. */
function declaredBy({ envelope }: ServerContext['mcpReq']): ClientCapabilities | undefined {
  return (envelope as Readonly<Record<string, ClientCapabilities>> | undefined)?.[CLIENT_CAPABILITIES_META_KEY];
}

/** Tools that answer with what they need first, as the stateless era has it. */
export function registerInputs(server: McpServer, states: RequestStateCodec<Progress>): void {
  server.registerTool('test_input_required_result_elicitation', { description: 'asks for a name' }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'user_name');
    if (answer.kind === 'elicit' && answer.action === 'accept' && typeof answer.content?.name === 'string')
      return text(`Hello, ${answer.content.name}!`);
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
  });
  server.registerTool('test_input_required_result_sampling', { description: 'asks a model' }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'capital_question');
    if (answer.kind === 'sampling') return text(JSON.stringify(answer.result.content));
    return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } });
  });
  server.registerTool('test_missing_capability', { description: 'needs a client that samples' }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'greeting');
    // The package itself refuses what the client has not declared (-32021).
    return answer.kind === 'missing'
      ? inputRequired({ inputRequests: { greeting: sample('Generate a greeting', 50) } })
      : text('the client samples');
  });
  server.registerTool('test_input_required_result_list_roots', { description: 'asks for roots' }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, 'client_roots');
    if (answer.kind === 'roots') return text(JSON.stringify(answer.roots));
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  });
  server.registerTool(
    'test_input_required_result_request_state',
    { description: 'remembers nothing itself' },
    async ({ mcpReq }) => {
      if (mcpReq.requestState<Progress>()?.round === 1) return text('state-ok');
      const inputRequests = { confirm: ask('Please confirm', 'ok', { type: 'boolean' }) };
      return inputRequired({ inputRequests, requestState: await states.mint({ round: 1 }) });
    },
  );
  server.registerTool(
    'test_input_required_result_tampered_state',
    { description: 'notices a changed state' },
    async ({ mcpReq }) => {
      if (mcpReq.requestState<Progress>()?.round === 1) return text('state-ok');
      const inputRequests = { confirm: ask('Please confirm', 'ok', { type: 'boolean' }) };
      return inputRequired({ inputRequests, requestState: await states.mint({ round: 1 }) });
    },
  );
  server.registerTool(
    'test_input_required_result_multiple_inputs',
    { description: 'asks three things at once' },
    async ({ mcpReq }) => {
      const asked = ['user_name', 'greeting', 'client_roots'];
      const given = asked.filter((key) => inputResponse(mcpReq.inputResponses, key).kind !== 'missing');
      if (given.length === asked.length) return text(`have ${given.join(', ')}`);
      return inputRequired({
        inputRequests: {
          user_name: ask('What is your name?', 'name'),
          greeting: sample('Generate a greeting', 50),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await states.mint({ round: 1 }),
      });
    },
  );
  server.registerTool(
    'test_input_required_result_multi_round',
    { description: 'asks one thing after the other' },
    async ({ mcpReq }) => {
      const round = (mcpReq.requestState<Progress>()?.round ?? 0) + 1;
      if (round === 1)
        return inputRequired({
          inputRequests: { step1: ask('Step 1: What is your name?', 'name') },
          requestState: await states.mint({ round }),
        });
      if (round === 2)
        return inputRequired({
          inputRequests: { step2: ask('Step 2: What is your favorite color?', 'color') },
          requestState: await states.mint({ round }),
        });
      return text('all is known');
    },
  );
  server.registerTool(
    'test_input_required_result_capabilities',
    { description: 'asks only what the client can answer' },
    ({ mcpReq }) => {
      const declared = declaredBy(mcpReq) ?? server.server.getClientCapabilities();
      const answered = mcpReq.inputResponses !== undefined;
      if (answered || declared === undefined) return text('done');
      const inputRequests = {
        ...(declared.elicitation && { name: ask('What is your name?', 'name') }),
        ...(declared.sampling && { greeting: sample('Generate a greeting', 50) }),
        ...(declared.roots && { roots: inputRequired.listRoots() }),
      };
      return Object.keys(inputRequests).length === 0 ? text('nothing to ask') : inputRequired({ inputRequests });
    },
  );
  server.registerTool('test_streaming_elicitation', { description: 'asks on a stream' }, async ({ mcpReq }) => {
    if (inputResponse(mcpReq.inputResponses, 'user_name').kind !== 'missing') return text('answered');
    await mcpReq.log('info', 'about to ask');
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
  });
}
