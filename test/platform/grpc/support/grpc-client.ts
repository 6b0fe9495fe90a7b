import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';

/** What came back for one call, however it ended. */
export interface Outcome {
  /** Of HTTP; undefined where nothing came. */
  readonly http: number | undefined;
  /** `grpc-status`, of the header fields or the trailers. */
  readonly status: string | undefined;
  /** `grpc-message`, decoded. */
  readonly message: string;
  readonly body: Buffer;
  /** Of RST_STREAM; 0 where there was none. */
  readonly code: number;
}

/** A message as gRPC frames it. @param flag whether it is compressed. @param length what it says of itself; absent: the truth */
export function grpcFrame(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export const CALL_FIELDS: OutgoingHttpHeaders = {
  ':method': 'POST',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** Opens a call that has said nothing yet. @param fields where they differ from the usual ones; undefined: left out */
export function openCall(
  session: ClientHttp2Session,
  path: string,
  fields: Readonly<Record<string, string | undefined>> = {},
): ClientHttp2Stream {
  const all = Object.entries({ ...CALL_FIELDS, ':path': path, ...fields });
  return session.request(Object.fromEntries(all.filter(([, value]) => value !== undefined)), { endStream: false });
}

/** Says all at once. */
export function call(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  fields?: Readonly<Record<string, string | undefined>>,
): Promise<Outcome> {
  const stream = openCall(session, path, fields);
  const outcome = outcomeOf(stream);
  stream.end(body);
  return outcome;
}

export async function outcomeOf(stream: ClientHttp2Stream): Promise<Outcome> {
  let fields: Record<string, unknown> = {};
  let http: number | undefined;
  const pieces: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('response', (received) => {
    http = received[':status'];
    fields = { ...fields, ...received };
  });
  stream.on('trailers', (received) => {
    fields = { ...fields, ...received };
  });
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  await new Promise<void>((resolve) => void stream.once('close', () => resolve()));
  return {
    http,
    status: fields['grpc-status'] as string | undefined,
    message: decodeURIComponent(String(fields['grpc-message'] ?? '')),
    body: Buffer.concat(pieces),
    code: stream.rstCode ?? 0,
  };
}
