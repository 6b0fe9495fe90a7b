import { z } from 'zod';
import { size } from './values.ts';

const count = (description: string, bound: number) => z.int().min(1).default(bound).meta({ description });

const shared = {
  maxRequests: (bound: number) => count('requests that wait for their answers', bound),
  maxRequestBytes: (bound: string) =>
    size(
      'bytes of memory of what the client sent: bodies and WebSocket messages on their way in, requests without an answer, URIs subscribed to; lists and objects take more than their text',
    ).prefault(bound),
  maxSubscriptions: (bound: number) => count('resources whose changes are told', bound),
  maxQuestions: (bound: number) => count('requests of servers that wait for the client’s answers', bound),
  maxMessages: (bound: number) => count('messages of servers kept until the client reads them', bound),
  maxKeptBytes: (bound: string) =>
    size('bytes of memory of those messages and questions, and of answers that have not come whole').prefault(bound),
};

/**
 * What the relay holds in memory for somebody at a time, over every transport and for every server. The defaults are far above what
 * clients need, and small enough that nobody can fill the process alone.
 */
export const budgets = z.strictObject({
  identity: z
    .strictObject({
      maxRequests: shared.maxRequests(1_000),
      maxRequestBytes: shared.maxRequestBytes('64MiB'),
      maxStreams: count(
        'open streams of every transport: WebSockets, HTTP+SSE, GET streams and `subscriptions/listen`',
        500,
      ),
      maxSessions: count('sessions that the relay itself holds: with programs, and for servers without sessions', 500),
      maxSubscriptions: shared.maxSubscriptions(10_000),
      maxQuestions: shared.maxQuestions(500),
      maxMessages: shared.maxMessages(10_000),
      maxKeptBytes: shared.maxKeptBytes('64MiB'),
    })
    .prefault({})
    .meta({ description: 'of one identity; the anonymous are one' }),
  session: z
    .strictObject({
      maxRequests: shared.maxRequests(250),
      maxRequestBytes: shared.maxRequestBytes('32MiB'),
      maxSubscriptions: shared.maxSubscriptions(1_000),
      maxQuestions: shared.maxQuestions(100),
      maxMessages: shared.maxMessages(1_000),
      maxKeptBytes: shared.maxKeptBytes('16MiB'),
    })
    .prefault({})
    .meta({ description: 'of one MCP session or connection, within those of its identity' }),
});
