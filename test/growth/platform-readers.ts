import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseApiKey } from '../../src/forward-auth/api-keys/key-format.ts';
import { addressBehind } from '../../src/platform/addresses.ts';
import { chained, FIRST_LINK, linkOf } from '../../src/platform/audit/hash-chain.ts';
import { bearerChallenge } from '../../src/platform/bearer-challenge.ts';
import { nameGlob } from '../../src/platform/name-glob.ts';
import { createOperatorApi } from '../../src/platform/operator-api.ts';
import { redact, redactText } from '../../src/platform/redact.ts';
import { readTraceContext } from '../../src/platform/tracing/trace-context.ts';
import type { GrowthRow } from './growth.ts';
import { FIELD_TEXTS, repeated, TRICKY } from './texts.ts';

const operatorApi = createOperatorApi({
  token: ['operator-token-of-the-growth-test'],
  routes: [
    { method: 'GET', path: /^\/sessions$/, handle: async () => ({ status: 200, body: {} }) },
    { method: 'DELETE', path: /^\/sessions\/([\w-]+)$/, handle: async () => ({ status: 200, body: {} }) },
  ],
  log: { error: () => {} } as never,
});

function askOperatorApi(url: string, authorization: string): unknown {
  const request = { url, method: 'DELETE', headers: { authorization }, socket: {}, rawHeaders: [], complete: true };
  const response = { req: request, once: () => {}, writeHead: () => {}, end: () => {} };
  return operatorApi(request as unknown as IncomingMessage, response as unknown as ServerResponse);
}

const GLOBS = ['*a*a*a*b', '*/*/*', 'x*', '*1*x*'].map(nameGlob);

/** Everything of both processes that reads what peers wrote. A new reader gets a row. */
export const PLATFORM_READERS: readonly GrowthRow[] = [
  { reader: 'globs', inputs: TRICKY, read: (text) => GLOBS.map((matches) => matches(text)) },
  {
    reader: 'forwarded addresses',
    inputs: { ...FIELD_TEXTS, addresses: repeated('10.0.0.1, ') },
    read: (text) => [addressBehind(text, 1), addressBehind(text, 3)],
  },
  {
    reader: 'what a log must not hold',
    inputs: {
      ...TRICKY,
      tokens: repeated('eyJaaaaaaaa.'),
      'tokens without an end': repeated('eyJaaaaaaaa '),
      keys: repeated('pst_a'),
      cookies: repeated('__Host-a'),
      'bearer and spaces': repeated('bearer   '),
      parameters: repeated('code=&'),
    },
    read: (text) => [redactText(text), redact({ [text]: text })],
  },
  {
    reader: 'line of the audit log',
    inputs: {
      ...TRICKY,
      'places in the chain': repeated(',"seq":1', '{"a":1', '}'),
      'places with hashes': repeated(',"seq":1,"previous":"a"', '{"a":1', ',"hash":"x"}'),
    },
    read: (text) => [linkOf(text), linkOf(chained(JSON.stringify({ text }), FIRST_LINK, undefined).line)],
  },
  {
    reader: 'trace context',
    inputs: { ...FIELD_TEXTS, parent: repeated('0', `00-${'1'.repeat(32)}-${'1'.repeat(16)}-01-`) },
    read: (text) => readTraceContext(['traceparent', text, 'tracestate', text]),
  },
  {
    reader: 'challenge',
    inputs: FIELD_TEXTS,
    read: (text) => bearerChallenge({ scope: text }),
  },
  {
    reader: 'request of an operator',
    inputs: { ...FIELD_TEXTS, slashes: repeated('/', '/sessions'), bearers: repeated('bearer ') },
    read: (text) => [askOperatorApi(text, text), askOperatorApi(`/sessions/${text}`, `Bearer ${text}`)],
  },
  {
    reader: 'API key',
    inputs: { ...FIELD_TEXTS, parts: repeated('_a', 'pst_') },
    read: parseApiKey,
  },
];
