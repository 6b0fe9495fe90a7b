import { connect } from 'node:net';

export interface Flood {
  /** Answers by status. */
  readonly statuses: Record<number, number>;
  /** Answers of status 503 without `Retry-After`. */
  withoutRetry: number;
}

/**
 * Sends requests over many connections, one after another on each, as a proxy does; written by hand, because a client library
 * costs the sender more than the server. Ends when the signal does.
 *
 * @param next the next request, as it goes over the wire
 */
export async function flood(
  port: number,
  connections: number,
  next: () => string,
  signal: AbortSignal,
): Promise<Flood> {
  const result: Flood = { statuses: {}, withoutRetry: 0 };
  await Promise.all(Array.from({ length: connections }, () => one(port, next, signal, result)));
  return result;
}

function one(port: number, next: () => string, signal: AbortSignal, result: Flood): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('connect', () => socket.write(next()));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      const end = answer.indexOf('\r\n\r\n');
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1]);
      if (end === -1 || answer.length < end + 4 + length) return;
      const status = Number(answer.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
      result.statuses[status] = (result.statuses[status] ?? 0) + 1;
      if (status === 503 && !/\r\nretry-after: \d+\r\n/i.test(answer)) result.withoutRetry += 1;
      answer = '';
      if (signal.aborted) socket.destroy();
      else socket.write(next());
    });
  });
}
