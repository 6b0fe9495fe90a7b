import { createServer, type RequestOptions, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onEnd } from './relay.ts';

/** A proxy that sends each request to another replica than the one before, as one without sticky sessions may. */
export async function alternator(ports: readonly number[]): Promise<{ port: number; served: readonly number[] }> {
  const served = ports.map(() => 0);
  let turn = 0;
  const server = createServer((request, response) => {
    const at = turn++ % ports.length;
    served[at] = (served[at] ?? 0) + 1;
    const { method, url: path, rawHeaders } = request;
    const options: RequestOptions = { host: '127.0.0.1', port: ports[at] ?? 0, headers: rawHeaders, agent: false };
    const onward = send({ ...options, method: method ?? '', path: path ?? '' }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, served };
}
