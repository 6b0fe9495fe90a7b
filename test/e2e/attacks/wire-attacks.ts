import { written } from './wire.ts';

export interface WireAttack {
  readonly name: string;
  readonly bytes: string;
  readonly responses?: number;
}

const USER = 'X-Authenticated-User: mallory';

/**
 * Requests whose end, or whose next request, two parsers could see in different places (RFC 9112 §11.2), and what can
 * stand in a body that a proxy checked only the head of.
 *
 * @param lines credentials of the outer request; the hidden one has none
 */
export function wireAttacks(lines: readonly string[]): WireAttack[] {
  const hidden = written({ target: '/admin/hidden', lines: [USER, 'User-Agent: hidden'] });
  const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
  const post = (more: readonly string[], body: string) =>
    `${written({ method: 'POST', target: '/app/x', lines: [...lines, ...more] })}${body}`;
  const get = (more: readonly string[], body: string) =>
    `${written({ target: '/public/x', lines: [...lines, ...more] })}${body}`;
  const length = (text: string) => `Content-Length: ${text.length}`;
  const chunked = 'Transfer-Encoding: chunked';
  const zero = `0\r\n\r\n${hidden}`;
  const both = (name: string, te: readonly string[]): WireAttack[] => [
    { name: `${name}, length of all`, bytes: post([length(zero), ...te], zero), responses: 2 },
    { name: `${name}, length after`, bytes: post([...te, length(zero)], zero), responses: 2 },
    { name: `${name}, short length`, bytes: post([...te, 'Content-Length: 4'], chunk), responses: 2 },
  ];
  const trailers = (announced: readonly string[], trailer: string) =>
    post([chunked, ...announced], `3\r\nabc\r\n0\r\n${trailer}\r\n\r\n`);
  return [
    ...both('CL.TE', [chunked]),
    ...both('TE twice', [chunked, 'Transfer-Encoding: identity']),
    ...both('TE list', ['Transfer-Encoding: chunked, identity']),
    ...both('TE of another coding', ['Transfer-Encoding: gzip, chunked']),
    ...both('TE x', ['Transfer-Encoding: xchunked']),
    ...both('TE with a space before the colon', ['Transfer-Encoding : chunked']),
    ...both('TE with a tab', ['Transfer-Encoding:\tchunked']),
    ...both('TE with a vertical tab', ['Transfer-Encoding: \x0bchunked']),
    ...both('TE folded', ['Transfer-Encoding:', ' chunked']),
    ...both('TE upper case', ['TRANSFER-ENCODING: CHUNKED']),
    ...both('TE quoted', ['Transfer-Encoding: "chunked"']),
    ...both('TE by underscore', ['Transfer_Encoding: chunked']),
    ...both('TE after a bare LF', ['A: b\nTransfer-Encoding: chunked']),
    ...both('TE after a bare CR', ['A: b\rTransfer-Encoding: chunked']),
    ...both('TE with a NUL', ['Transfer-Encoding: chunked\0']),
    ...both('TE with a parameter', ['Transfer-Encoding: chunked;a=b']),
    { name: 'two lengths', bytes: post(['Content-Length: 0', length(hidden)], hidden), responses: 2 },
    { name: 'two lengths the other way', bytes: post([length(hidden), 'Content-Length: 0'], hidden), responses: 2 },
    { name: 'a list of lengths', bytes: post([`Content-Length: 0, ${hidden.length}`], hidden), responses: 2 },
    { name: 'a length with a plus', bytes: post([`Content-Length: +${hidden.length}`], hidden), responses: 2 },
    { name: 'a length in hex', bytes: post([`Content-Length: 0x${hidden.length.toString(16)}`], hidden), responses: 2 },
    { name: 'a negative length', bytes: post(['Content-Length: -1'], hidden), responses: 2 },
    { name: 'a huge length', bytes: post(['Content-Length: 99999999999999999999'], hidden) },
    { name: 'a length by underscore', bytes: post([`Content_Length: ${hidden.length}`], hidden), responses: 2 },
    { name: 'a length with a space before the colon', bytes: post([`Content-Length : ${hidden.length}`], hidden) },
    { name: 'a body of a GET', bytes: get([length(hidden)], hidden), responses: 2 },
    { name: 'a chunked body of a GET', bytes: get([chunked], chunk), responses: 2 },
    { name: 'a body of a GET without a length', bytes: get([], hidden), responses: 2 },
    { name: 'a chunk extension', bytes: post([chunked], `3;${'a'.repeat(40)}="\n${USER}"\r\nabc\r\n0\r\n\r\n`) },
    { name: 'a chunk ended by LF', bytes: post([chunked], `3\nabc\n0\n\n${hidden}`), responses: 2 },
    { name: 'a chunk extension ended by LF', bytes: post([chunked], `3;a\nabc\r\n0\r\n\r\n${hidden}`), responses: 2 },
    { name: 'a chunk with another size', bytes: post([chunked], `2\r\nabc\r\n0\r\n\r\n${hidden}`), responses: 2 },
    { name: 'a chunk size in octal', bytes: post([chunked], `0x3\r\nabc\r\n0\r\n\r\n${hidden}`), responses: 2 },
    { name: 'a chunk size that wraps', bytes: post([chunked], `10000000000000003\r\nabc\r\n0\r\n\r\n${hidden}`) },
    { name: 'a trailer, announced', bytes: trailers(['Trailer: X-Authenticated-User'], USER) },
    { name: 'a trailer, not announced', bytes: trailers([], USER) },
    { name: 'a trailer, another announced', bytes: trailers(['Trailer: X-Other', 'TE: trailers'], USER) },
    { name: 'a trailer by another spelling', bytes: trailers([], 'X_Authenticated_User: mallory') },
    { name: 'a trailer of the assertion', bytes: trailers(['Trailer: X-Authenticated-Assertion'], USER) },
    { name: 'a trailer with a length', bytes: trailers([], 'Content-Length: 3') },
    { name: 'a trailer with an identity and a proof', bytes: trailers([], `${USER}\r\nX-Postern-Proxy-Secret: x`) },
    { name: 'lines ended by LF', bytes: get([USER], '').replaceAll('\r\n', '\n') },
    { name: 'the head ended by LF', bytes: get([], '').replace(/\r\n\r\n$/, '\n\n') + hidden, responses: 2 },
    { name: 'the head ended by CR', bytes: get([], '').replace(/\r\n\r\n$/, '\r\r') },
    { name: 'empty lines first', bytes: `\r\n\r\n${get([USER], '')}` },
    { name: 'a space in the request line', bytes: get([], '').replace('GET ', 'GET  ') },
    { name: 'a tab in the request line', bytes: get([], '').replace('GET ', 'GET\t') },
    { name: 'two targets', bytes: get([], '').replace('/public/x', '/public/x /admin/x') },
    { name: 'a version in the target', bytes: get([], '').replace('/public/x', '/public/x HTTP/1.1\nX:') },
    { name: 'pipelined after a public one', bytes: get([], '') + hidden, responses: 2 },
    { name: 'pipelined after one of alice', bytes: post(['Content-Length: 0'], '') + hidden, responses: 2 },
    {
      name: 'pipelined without a token after one of alice',
      bytes: post(['Content-Length: 0'], '') + written({ target: '/app/hidden', lines: [USER] }),
      responses: 2,
    },
    { name: 'pipelined forged in the middle', bytes: get([], '') + hidden + get([], ''), responses: 3 },
    {
      name: 'Expect and a body that is a request',
      bytes: post(['Expect: 100-continue', length(hidden)], hidden),
      responses: 2,
    },
    { name: 'an unknown Expect', bytes: post(['Expect: 200-ok', length(hidden)], hidden), responses: 2 },
    {
      name: 'a WebSocket upgrade where there is none',
      bytes:
        get(
          [
            ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          ],
          '',
        ) + hidden,
      responses: 2,
    },
    {
      name: 'an upgrade to h2c',
      bytes:
        get(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAA'], '') + hidden,
      responses: 2,
    },
    {
      name: 'an upgrade to h2c with the identity as hop-by-hop',
      bytes: get(
        [
          ...['Connection: Upgrade, HTTP2-Settings, X-Authenticated-User', 'Upgrade: h2c'],
          ...['HTTP2-Settings: AAMAAABkAAQAoAAA', USER],
        ],
        '',
      ),
    },
    { name: 'an upgrade to TLS', bytes: get(['Connection: Upgrade', 'Upgrade: TLS/1.0'], '') + hidden, responses: 2 },
    {
      name: 'an upgrade of two protocols',
      bytes: get(['Connection: Upgrade', 'Upgrade: websocket, h2c', USER], '') + hidden,
      responses: 2,
    },
    { name: 'very many headers', bytes: get(Array.from({ length: 400 }, (_value, i) => `A-${i}: b`).concat(USER), '') },
    { name: 'headers of 100 KB', bytes: get([`A: ${'b'.repeat(100_000)}`, USER], '') },
  ];
}
