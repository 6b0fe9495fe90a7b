import { connect } from 'node:http2';

type Fields = Record<string, string | string[]>;

/** What node:http2 lets a client say. Paths are the same as by HTTP/1.1; here are the fields that only HTTP/2 has. */
export function http2Attacks(host: string): ReadonlyArray<readonly [name: string, fields: Fields]> {
  const forged = { 'x-authenticated-user': 'mallory' };
  return [
    ['a forged user', forged],
    ['a forged user twice', { 'x-authenticated-user': ['mallory', 'mallory'] }],
    ['by underscore', { x_authenticated_user: 'mallory' }],
    ['by dot', { 'x.authenticated.user': 'mallory' }],
    ['host beside :authority', { ':authority': host, host: 'open.example' }],
    ['host beside an open :authority', { ':authority': 'open.example', host }],
    ['an authority with a user', { ':authority': `open.example@${host}` }],
    ['an authority in upper case', { ':authority': 'OPEN.Example.' }],
    ['an authority with a path', { ':authority': 'open.example/..' }],
    ['an empty authority', { ':authority': '' }],
    ['another scheme', { ':scheme': 'https' }],
    ...['ftp', 'javascript', 'httpss'].map((scheme) => [`scheme ${scheme}`, { ':scheme': scheme }] as const),
    ...[' ', '\t'].flatMap((mark) => [
      [`an authority and ${JSON.stringify(mark)}`, { ':authority': `${host}${mark}` }] as const,
      [`${JSON.stringify(mark)} and an authority`, { ':authority': `${mark}${host}` }] as const,
      [`${JSON.stringify(mark)} in an authority`, { ':authority': `open.example${mark}${host}` }] as const,
    ]),
    ['a scheme with an address', { ':scheme': 'http://open.example/public/x?' }],
    ['cookie crumbs', { cookie: ['a=1', '__Host-postern=forged', 'b=2'] }],
    ['te', { te: 'trailers', ...forged }],
    ['forwarded', { 'x-forwarded-uri': '/public/x', 'x-forwarded-host': 'open.example', 'x-forwarded-method': 'GET' }],
    ['original', { 'x-original-uri': '/public/x', 'x-original-method': 'GET', 'x-envoy-original-path': '/public/x' }],
    ['a lower-case method', { ':method': 'get' }],
    ['TRACE', { ':method': 'TRACE' }],
    ['a method with a space', { ':method': 'GET /public/x HTTP/1.1' }],
    ['a path with a space', { ':path': '/public/x HTTP/1.1' }],
    ['a path with a line', { ':path': '/public/x%0d%0aX-Authenticated-User:mallory' }],
    ['an absolute path', { ':path': 'http://open.example/admin/x' }],
    ['a path without a slash', { ':path': 'admin/x' }],
    ['an asterisk', { ':path': '*', ':method': 'OPTIONS' }],
    ['dots', { ':path': '/public/../admin/x' }],
    ['encoded dots', { ':path': '/public/%2e%2e/admin/x' }],
    ['parameters', { ':path': '/public/..;/admin/x' }],
    ['a fragment', { ':path': '/public/x#/../admin' }],
    ['the proof', { 'x-postern-proxy-secret': 'guessed' }],
  ];
}

/** Trailers, and fields that HTTP/2 forbids (RFC 9113 §8.2.2), which node:http2 itself must refuse to send. */
export const REFUSED_BY_CLIENT: readonly Fields[] = [
  { connection: 'x-authenticated-user' },
  { 'transfer-encoding': 'chunked' },
  { upgrade: 'h2c' },
  { ':path': ['/public/x', '/admin/x'] },
];

/** @returns the status, or undefined where the stream or the connection was ended instead */
export function askHttp2(port: number, fields: Fields, trailers?: Fields): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    let status: number | undefined;
    const end = () => {
      clearTimeout(timer);
      session.destroy();
      resolve(status);
    };
    const timer = setTimeout(end, 2_000);
    session.on('error', end);
    try {
      const stream = session.request({ ':authority': '127.0.0.1', ...fields }, {
        endStream: false,
        waitForTrailers: trailers !== undefined,
      } as object);
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      stream.on('response', (head) => {
        status = head[':status'];
      });
      stream.on('error', end);
      stream.on('close', end);
      stream.resume();
      stream.end();
    } catch (error) {
      clearTimeout(timer);
      session.destroy();
      reject(error);
    }
  });
}
