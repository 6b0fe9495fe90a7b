// An MCP server over stdio that does what the test's tool calls say. Plain JavaScript, so that it starts at once.
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const answer = (id, value) => say({ id, result: { content: [{ type: 'text', text: JSON.stringify(value) }] } });
const waiting = new Map();
/** Ids of its own questions that were answered with an error, and of requests that were taken back. */
const refused = [];
const cancelled = [];
/** What came of its own questions. */
const answers = [];
/** Methods of the requests that it has had. */
const asked = [];
/** What it was told, beside that a request is taken back. */
const told = [];
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const TOOLS = {
  env: (id) => answer(id, process.env),
  pid: (id) => answer(id, process.pid),
  crash: () => process.exit(3),
  noise: (id) => {
    process.stdout.write('a line that is no message\n\n');
    answer(id, 'done');
  },
  raw: (id, { line }) => {
    process.stdout.write(`${line}\n`);
    answer(id, 'done');
  },
  batch: (id, { say: text }) => {
    const message = { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: JSON.stringify(text) }] } };
    process.stdout.write(`${JSON.stringify([{ jsonrpc: '2.0', method: 'notifications/message' }, message])}\n`);
  },
  flood: (id) => {
    for (let line = 0; line < 20_000; line++) process.stderr.write(`line ${line} of a flood\n`);
    answer(id, 'done');
  },
  long: (id, { length }) => answer(id, 'x'.repeat(length)),
  slow: async (id, { milliseconds, say: text }, token) => {
    if (token !== undefined) say({ method: 'notifications/progress', params: { progressToken: token, progress: 1 } });
    await wait(milliseconds);
    answer(id, text);
  },
  log: (id, { text }) => {
    say({ method: 'notifications/message', params: { level: 'info', data: text } });
    answer(id, 'done');
  },
  changed: (id) => {
    say({ method: 'notifications/tools/list_changed' });
    answer(id, 'done');
  },
  ask: (id) => {
    waiting.set(`question ${id}`, (result) => answer(id, result));
    say({ id: `question ${id}`, method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
  },
  never: () => {},
  later: (id) => {
    answer(id, 'done');
    setTimeout(() => say({ method: 'notifications/message', params: { level: 'info', data: 'said later' } }), 20);
  },
  question: (id, { id: question, token }) => {
    const meta = token === undefined ? {} : { _meta: { progressToken: token } };
    say({ id: question, method: 'sampling/createMessage', params: { messages: [], maxTokens: 1, ...meta } });
    answer(id, 'asked');
  },
  'after the answer': (id, { milliseconds, messages }) => {
    answer(id, 'done');
    setTimeout(() => messages.forEach(say), milliseconds);
  },
  refusals: (id) => answer(id, refused),
  cancelled: (id) => answer(id, cancelled),
  answers: (id) => answer(id, answers),
  told: (id) => answer(id, told),
  asked: (id) => answer(id, asked),
  /** First under what only looks like the id, and with progress under what only looks like the token. */
  'answer as': (id, { form }, token) => {
    const forms = {
      text: String,
      hex: (number) => `0x${number.toString(16)}`,
      list: (number) => [number],
      nothing: () => '',
    };
    say({ method: 'notifications/progress', params: { progressToken: forms[form](token), progress: 66 } });
    answer(forms[form](id), 'wrong');
    say({ method: 'notifications/progress', params: { progressToken: token, progress: 1 } });
    answer(id, 'right');
  },
  result: (id, { result }) => say({ id, result }),
  meta: (id, _arguments, _token, meta) => answer(id, meta),
  params: (id, _arguments, _token, _meta, params) => answer(id, params),
};

// With this argument it neither ends with its input nor at SIGTERM.
if (process.argv.includes('--stubborn')) {
  process.on('SIGTERM', () => {});
  setInterval(() => {}, 1_000);
}
if (process.argv.includes('--banner')) process.stdout.write('\ufeffWelcome to the scripted server 1.0\n\n\ufeff');
if (process.argv.includes('--broken')) process.exit(7);
const TASKS = process.argv.includes('--tasks');

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params, result, error } = JSON.parse(line);
  if (id !== undefined && method !== undefined) asked.push(method);
  if (method === 'notifications/cancelled') cancelled.push(params.requestId);
  else if (method === undefined) {
    if (error !== undefined) refused.push(id);
    answers.push([id, error?.code ?? result]);
    waiting.get(id)?.(result ?? { refused: error.code });
    waiting.delete(id);
  } else if (method === 'initialize' && params.clientInfo.name === 'unwelcome')
    say({ id, error: { code: -32602, message: 'not this client' } });
  else if (method === 'initialize')
    say({
      id,
      result: {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: { listChanged: true }, logging: {}, ...(TASKS && { tasks: { list: {} } }) },
        serverInfo: { name: 'scripted', version: '1' },
      },
    });
  else if (method === 'resources/subscribe' && params.uri.startsWith('refused:'))
    say({ id, error: { code: -32602, message: 'no such resource' } });
  else if (method === 'resources/subscribe' && params.uri.startsWith('slow:'))
    setTimeout(() => say({ id, result: {} }), 300);
  else if (method === 'tools/call')
    TOOLS[params.name](id, params.arguments ?? {}, params._meta?.progressToken, params._meta, params);
  else if (id === undefined) told.push([method, params]);
  else
    say({ id, result: method === 'tools/list' ? { tools: [{ name: 'meta', inputSchema: { type: 'object' } }] } : {} });
});
