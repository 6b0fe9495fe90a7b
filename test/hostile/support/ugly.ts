import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { frame } from '../../relay/hostile/support/raw-server.ts';
import { h2Frame, hpack, PREFACE } from '../../support/h2-frames.ts';

/** What a server writes, piece by piece, and what it does then. */
export interface Ugly {
  readonly pieces: readonly Buffer[];
  readonly atEnd: 'end' | 'reset' | 'silence';
}

const RESULT = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'u', version: '1' } };
const json = (message: object) => JSON.stringify({ jsonrpc: '2.0', ...message });

const text = fc.oneof(
  fc.constantFrom('', '\0', '\ufeff', '\u2028', '\r', '\r\n\r\n', '__proto__', '{', '[[', '"', 'null', '1e999', 'NaN'),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const id = fc.oneof(fc.constantFrom<unknown>(1, 'x', null, -1, 1.5, 2 ** 60, [], {}, true, ''), fc.integer());
const anything = fc.anything({ maxDepth: 2, maxKeys: 4 });

/** Messages from right to absurd, as text. */
const message: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    json({ id: 1, result: RESULT }),
    json({ id: 1, result: {} }),
    json({ id: 1, error: { code: -32_000, message: 'no' } }),
  ),
  fc.record({ id, result: anything }).map((made) => safe({ jsonrpc: '2.0', ...made })),
  fc.record({ id, error: anything }).map((made) => safe({ jsonrpc: '2.0', ...made })),
  fc.record({ id, method: text, params: anything }).map((made) => safe({ jsonrpc: '2.0', ...made })),
  fc
    .record({
      method: fc.constantFrom('notifications/progress', 'notifications/cancelled', 'notifications/resources/updated'),
      params: anything,
    })
    .map((made) => safe({ jsonrpc: '2.0', ...made })),
  fc.array(anything, { maxLength: 3 }).map(safe),
  fc.constantFrom(
    '['.repeat(2_000),
    '{"a":'.repeat(700),
    '{"id":1,"id":2,"result":{}}',
    '{"jsonrpc":"2.0","id":1,"result":{"__proto__":{"x":1}}}',
  ),
  text,
);

function safe(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch {
    return '{}';
  }
}

const status = fc.constantFrom(
  100,
  101,
  102,
  103,
  199,
  200,
  200,
  200,
  200,
  201,
  202,
  204,
  205,
  206,
  301,
  304,
  307,
  400,
  401,
  403,
  404,
  405,
  406,
  409,
  415,
  429,
  500,
  502,
  503,
  504,
  599,
  600,
  999,
);
const type = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-16le',
  'Application/JSON',
  'text/event-stream',
  'Text/Event-Stream;charset=utf-8',
  'text/event-stream; charset=utf-16-le',
  'text/html',
  'application/octet-stream',
  '',
  'x/y; boundary=\x01',
  'application/json, text/html',
);
const header = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'Content-Type',
        'content-type',
        'Mcp-Session-Id',
        'Content-Encoding',
        'Retry-After',
        'Cache-Control',
        'Set-Cookie',
        'Location',
        'WWW-Authenticate',
        'Transfer-Encoding',
        'Content-Length',
        'Connection',
        'Upgrade',
        'X-Y',
      ),
      fc.oneof(
        type,
        fc.constantFrom(
          'gzip',
          'br',
          'identity',
          'chunked',
          '0',
          '-1',
          '5',
          '99999999',
          'close',
          'keep-alive',
          'h2c',
          'Bearer',
          '\xff\xfe',
          'é',
        ),
        fc.string({ maxLength: 20 }),
      ),
    )
    .map(([name, value]) => `${name}: ${value}\r\n`),
  fc.constantFrom(
    'broken\r\n',
    ': empty\r\n',
    'A B: c\r\n',
    ' folded\r\n',
    `X-Long: ${'x'.repeat(20_000)}\r\n`,
    'X: a\nY: b\r\n',
  ),
);

const cut = (whole: Buffer, at: readonly number[]): Buffer[] => {
  const places = [...new Set(at.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b);
  return [...places, whole.length].map((end, index) => whole.subarray(index === 0 ? 0 : places[index - 1], end));
};
const atEnd = fc.constantFrom<Ugly['atEnd']>('end', 'end', 'reset', 'silence');
const inPieces = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Ugly> =>
  fc
    .record({ whole, at: fc.array(fc.nat(5_000), { maxLength: 4 }), atEnd })
    .map((made) => ({ pieces: cut(made.whole, made.at), atEnd: made.atEnd }));

/** Statuses × headers × framing × early ends × 1xx × trailers. */
export const uglyHttp: fc.Arbitrary<Ugly> = inPieces(
  fc
    .record({
      interim: fc.array(
        fc.constantFrom(
          'HTTP/1.1 100 Continue\r\n\r\n',
          'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
          'HTTP/1.1 102 Processing\r\n\r\n',
        ),
        { maxLength: 2 },
      ),
      status,
      type,
      headers: fc.array(header, { maxLength: 4 }),
      body: message,
      framing: fc.constantFrom('length', 'short', 'long', 'chunked', 'badchunk', 'trailers', 'none'),
    })
    .map(({ interim, status, type, headers, body, framing }) => {
      const bytes = Buffer.from(body);
      const size = bytes.length.toString(16);
      const [fields, content] = {
        length: [`Content-Length: ${bytes.length}\r\n`, body],
        short: [`Content-Length: ${Math.max(0, bytes.length - 3)}\r\n`, body],
        long: [`Content-Length: ${bytes.length + 9}\r\n`, body],
        chunked: ['Transfer-Encoding: chunked\r\n', `${size}\r\n${body}\r\n0\r\n\r\n`],
        badchunk: ['Transfer-Encoding: chunked\r\n', `zz\r\n${body}\r\n`],
        trailers: [
          'Transfer-Encoding: chunked\r\nTrailer: X\r\n',
          `${size}\r\n${body}\r\n0\r\nX: y\r\nContent-Type: text/html\r\n\r\n`,
        ],
        none: ['', body],
      }[framing] as [string, string];
      return Buffer.from(
        `${interim.join('')}HTTP/1.1 ${status} X\r\nContent-Type: ${type}\r\n${headers.join('')}${fields}\r\n${content}`,
      );
    }),
);

const line = fc.oneof(
  message.map((made) => `data: ${made}`),
  fc.tuple(fc.constantFrom('data', 'event', 'id', 'retry', '', 'x'), text).map(([name, value]) => `${name}:${value}`),
  fc.constantFrom(
    'event: endpoint',
    'data: /messages',
    'id: \0',
    'retry: 99999999999',
    'data',
    `: ${'c'.repeat(5_000)}`,
  ),
);
const eventText = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\n\n', '\r\r')), { maxLength: 12 })
  .map((lines) => lines.flat().join(''));

/** Charsets, line ends, byte order marks, ids, lines without end. */
export const uglyEvents: fc.Arbitrary<Ugly> = inPieces(
  fc
    .record({
      type: fc.constantFrom('text/event-stream', 'text/event-stream; charset=utf-16', 'TEXT/EVENT-STREAM'),
      mark: fc.constantFrom('', '\ufeff'),
      eventText,
    })
    .map(({ type, mark, eventText: body }) =>
      Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n\r\n${mark}${body}`),
    ),
);

/** HTTP+SSE: endpoint tricks before the same. */
export const uglyEndpoint: fc.Arbitrary<Ugly> = inPieces(
  fc
    .record({
      endpoint: fc.oneof(
        fc.constantFrom(
          '/messages',
          '//evil.example/x',
          'http://127.0.0.1:1/x',
          'javascript:1',
          '',
          '/\r\nX: y',
          '\\\\x',
          '/m?a=b#c',
          `/${'x'.repeat(9_000)}`,
          '/messages\ndata: /other',
        ),
        text,
      ),
      eventText,
    })
    .map(({ endpoint, eventText: body }) =>
      Buffer.from(
        `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\ndata: ${endpoint}\n\n${body}`,
      ),
    ),
);

/** Compression that nobody agreed to (RFC 7692): on first frames, on later ones, on control frames, of what is none. */
const compressed = fc
  .tuple(
    fc.constantFrom(0xc1, 0xc2, 0xc9, 0x41, 0xc0, 0x40, 0xe1, 0xf1, 0x91),
    message.map((made) => deflateRawSync(made)),
    fc.constantFrom('whole', 'cut', 'plain'),
  )
  .map(([head, body, how]) =>
    frame(head, how === 'whole' ? body : how === 'cut' ? body.subarray(0, body.length / 2) : Buffer.from('{}')),
  );

/** Every opcode and bit, bad lengths, fragments, control frames; behind the handshake. */
export const uglyFrames: fc.Arbitrary<Ugly> = inPieces(
  fc
    .array(
      fc.oneof(
        message.map((made) => frame(0x81, made)),
        compressed,
        fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 140 })).map(([head, body]) => frame(head, Buffer.from(body))),
        fc.constantFrom(
          frame(0x89, 'p'),
          frame(0x8a, ''),
          frame(0x01, '{'),
          frame(0x80, '}'),
          frame(0x88, ''),
          frame(0x82, 'bin'),
          frame(0xc1, 'x'),
        ),
        fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 6 },
    )
    .map((frames) => Buffer.concat(frames)),
);

/** Lines of any length, no line end, NUL, byte order marks, batches. */
export const uglyLines: fc.Arbitrary<Ugly> = inPieces(
  fc
    .array(
      fc.tuple(
        fc.oneof(message, text, fc.constantFrom('x'.repeat(70_000), '\ufeff')),
        fc.constantFrom('\n', '\n', '\r\n', '', '\0'),
      ),
      { maxLength: 8 },
    )
    .map((lines) => Buffer.from(lines.flat().join(''))),
);

const clientHead = fc.oneof(
  fc.constantFrom('POST', 'POST', 'GET', 'DELETE', 'OPTIONS', 'PUT', 'CONNECT', 'PRI', 'TRACE'),
  fc.string({ maxLength: 6 }),
);
/** Of no place in particular. */
const STRANGE_PATHS = [
  '*',
  '//',
  '/',
  '/\xff',
  `/${'a'.repeat(9_000)}`,
  '/%00',
  '/../x',
  'http://x/',
  '/?a=%zz&a=\x7f',
];

const RELAY_PATHS = [
  '/servers/good/mcp',
  '/servers/good/ws',
  '/servers/good/sse',
  '/servers/good/messages',
  '/mcp',
  '/servers/%00/mcp',
  '/servers/../x',
  'http://x/servers/good/mcp',
  '/.well-known/oauth-protected-resource',
];

const clientField = fc.oneof(
  header,
  fc.constantFrom(
    'X-Authenticated-User: mallory\r\n',
    'X-Authenticated-User: mallory\r\n',
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n',
    'Upgrade: h2c\r\nConnection: Upgrade\r\n',
    'Expect: 100-continue\r\n',
    'Expect: x\r\n',
    'Mcp-Session-Id: x\r\n',
    'Mcp-Protocol-Version: 2026-07-28\r\n',
    'Last-Event-ID: \xff\r\n',
    'Accept: */*\r\n',
    'Origin: null\r\n',
  ),
);

export const uglyClient = uglyRequests(RELAY_PATHS);

/**
 * A client at a way in: requests in any state of repair, frames behind an upgrade, two requests at once.
 *
 * @param paths those of the way in, to which strange ones are added
 * @param more header fields that it knows, as lines
 */
export function uglyRequests(paths: readonly string[], more: readonly string[] = []): fc.Arbitrary<Ugly> {
  const field = more.length === 0 ? clientField : fc.oneof(clientField, fc.constantFrom(...more));
  return inPieces(
    fc
      .record({
        method: clientHead,
        path: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...paths) }, fc.constantFrom(...STRANGE_PATHS)),
        fields: fc.array(field, { maxLength: 6 }),
        body: message,
        framing: fc.constantFrom('length', 'short', 'chunked', 'both', 'none'),
        behind: fc.oneof(
          fc.constant(Buffer.alloc(0)),
          fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        ),
      })
      .map(({ method, path: target, fields, body, framing, behind }) => {
        const size = Buffer.byteLength(body);
        const length = {
          length: `Content-Length: ${size}\r\n`,
          short: `Content-Length: ${size + 5}\r\n`,
          chunked: 'Transfer-Encoding: chunked\r\n',
          both: `Transfer-Encoding: chunked\r\nContent-Length: ${size}\r\n`,
          none: '',
        }[framing];
        const content =
          framing === 'chunked' || framing === 'both' ? `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
        return Buffer.concat([
          Buffer.from(
            `${method} ${target} HTTP/1.1\r\nHost: mcp.example.com\r\nContent-Type: application/json\r\n${fields.join('')}${length}\r\n${content}`,
            'latin1',
          ),
          behind,
        ]);
      }),
  );
}

const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';
const grpcFields = fc.record({
  ':method': fc.constantFrom('POST', 'POST', 'GET', ''),
  ':scheme': fc.constantFrom('http', 'https', ''),
  ':path': fc.constantFrom(
    CHECK_PATH,
    CHECK_PATH,
    CHECK_PATH.replace('v3', 'v2'),
    '/grpc.health.v1.Health/Watch',
    '/',
    '*',
  ),
  ':authority': fc.constantFrom('a', ''),
  'content-type': fc.constantFrom('application/grpc', 'application/grpc', 'application/json', ''),
  te: fc.constantFrom('trailers', ''),
  'grpc-encoding': fc.constantFrom('identity', 'gzip', 'x'),
  'grpc-timeout': fc.constantFrom('1S', '0n', '99999999H', '-1S', 'x'),
});
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((made) => Buffer.from(made));

/** A message of gRPC: a flag, a length, and bytes that are rarely of the protocol. */
const grpcMessage = fc
  .record({ flag: fc.constantFrom(0, 0, 0, 1, 255), body: bytes(60), wrong: fc.constantFrom(0, 0, 1, 0x7fffffff) })
  .map(({ flag, body, wrong }) => {
    const head = Buffer.alloc(5);
    head.writeUInt8(flag, 0);
    head.writeUInt32BE(Math.min(0xffffffff, body.length + wrong), 1);
    return Buffer.concat([head, body]);
  });

const h2Part = fc.oneof(
  // A call as it should be, but for what it says.
  fc
    .record({ fields: grpcFields, message: grpcMessage, stream: fc.constantFrom(1, 3, 5) })
    .map((made) =>
      Buffer.concat([h2Frame(1, 4, made.stream, hpack(made.fields)), h2Frame(0, 1, made.stream, made.message)]),
    ),
  fc
    .record({
      type: fc.nat(12),
      flags: fc.nat(255),
      stream: fc.constantFrom(0, 0, 1, 2, 3, 0x7fffffff),
      body: bytes(40),
      length: fc.constantFrom(undefined, 0, 3, 16_384, 0xffffff),
    })
    .map((made) => h2Frame(made.type, made.flags, made.stream, made.body, made.length)),
  fc.constantFrom(
    h2Frame(4, 0, 0, Buffer.from('000300000000', 'hex')),
    Buffer.concat(Array.from({ length: 200 }, () => h2Frame(6, 0, 0, Buffer.alloc(8)))),
    Buffer.concat(Array.from({ length: 200 }, () => h2Frame(4, 0, 0, Buffer.alloc(0)))),
    Buffer.concat([
      h2Frame(1, 0, 1, hpack({ ':method': 'POST' })),
      ...Array.from({ length: 100 }, () => h2Frame(9, 0, 1, hpack({ a: 'b' }))),
    ]),
    Buffer.concat(
      Array.from({ length: 100 }, (_, at) =>
        Buffer.concat([
          h2Frame(1, 5, 2 * at + 1, hpack({ ':method': 'POST', ':path': CHECK_PATH, ':scheme': 'http' })),
          h2Frame(3, 0, 2 * at + 1, Buffer.alloc(4)),
        ]),
      ),
    ),
    h2Frame(8, 0, 0, Buffer.from('7fffffff', 'hex')),
    h2Frame(7, 0, 0, Buffer.alloc(8)),
  ),
  bytes(30),
);

/** A client of gRPC: frames of every type and size, calls that are half right, floods. */
export const uglyGrpc: fc.Arbitrary<Ugly> = inPieces(
  fc
    .record({
      preface: fc.constantFrom(PREFACE, PREFACE, PREFACE, Buffer.alloc(0)),
      settings: fc.boolean(),
      parts: fc.array(h2Part, { maxLength: 5 }),
    })
    .map(({ preface, settings, parts }) =>
      Buffer.concat([preface, ...(settings ? [h2Frame(4, 0, 0, Buffer.alloc(0))] : []), ...parts]),
    ),
);
