import { request } from 'node:http';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/**
 * A request exactly as written: `fetch` would resolve `..` and join duplicates, which is what an attacker avoids.
 *
 * @param from address of this machine to come from: on Linux all of 127.0.0.0/8 is
 * @param headers name and value alternating, duplicates allowed; with a Host, there is no other
 */
export function rawRequest(
  port: number,
  path: string,
  options: { method?: string; headers?: readonly string[]; body?: string; from?: string } = {},
): Promise<RawAnswer> {
  const given = options.headers ?? [];
  const named = given.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  const headers = [...(named ? [] : ['Host', `127.0.0.1:${port}`]), ...given];
  if (options.body !== undefined) headers.push('Content-Length', String(Buffer.byteLength(options.body)));
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...{ host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers, agent: false },
        ...(options.from === undefined ? {} : { localAddress: options.from }),
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on('error', reject);
      },
    );
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error(`no answer to ${options.method ?? 'GET'} ${path}`)));
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}
