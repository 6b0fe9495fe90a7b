import { z } from 'zod';
import { USER_NAMES, userFields } from '../../../identity/user.ts';
import type { OpenStreams } from '../../transports/open-streams.ts';
import { notFound, Operation } from './operation.ts';
import { userFieldsShape } from './user-fields.ts';

const stream = z
  .object({
    id: z.string(),
    transport: z.enum(['streamable-http', 'http-sse', 'websocket']),
    server: z.string(),
    ...userFieldsShape,
    since: z.iso.datetime(),
  })
  .meta({ id: 'Stream' });

const MAX_LISTED = 1_000;

/** Streams and connections that are open now, and how an operator ends one. */
export function streamOperations(streams: Pick<OpenStreams, 'list' | 'end'>) {
  return {
    listStreams: new Operation(
      {
        id: 'listStreams',
        method: 'GET',
        path: '/streams',
        summary: 'Streams and connections that are open at this replica, the oldest first',
        input: z.object({}),
        output: z.object({ count: z.int().min(0), streams: z.array(stream) }),
      },
      () => {
        const open = streams.list();
        const listed = [...open].sort((a, b) => a.since - b.since).slice(0, MAX_LISTED);
        return {
          count: open.length,
          streams: listed.map(({ id, transport, server, identity, since }) => ({
            id,
            transport,
            server,
            ...userFields(identity, USER_NAMES),
            since: new Date(since).toISOString(),
          })),
        };
      },
    ),
    endStream: new Operation(
      {
        id: 'endStream',
        method: 'DELETE',
        path: '/streams/{id}',
        summary: 'Ends a stream; its client may open another as long as it is let in',
        input: z.object({ id: z.string().regex(/^[\w-]{1,64}$/) }),
        output: z.object({ ended: z.literal(true) }),
        problems: { 404: 'It has ended already.' },
      },
      ({ id }) => {
        if (!streams.end(id, 'operator')) throw notFound('there is no such stream: it may have ended already');
        return { ended: true as const };
      },
    ),
  };
}
