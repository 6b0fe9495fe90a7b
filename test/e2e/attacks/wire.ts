import { connect } from 'node:net';

export interface Exchange {
  /** Bytes, one character each (latin1), exactly as they go out. */
  readonly bytes: string;
  /** How many answers to wait for. */
  readonly responses?: number;
  /** From which address of this machine. */
  readonly from?: string;
  /** Milliseconds until silence counts as a refusal. */
  readonly patience?: number;
}

export interface Answered {
  /** Of every whole answer; empty where the connection was closed, or nothing came. */
  readonly statuses: readonly number[];
  readonly text: string;
}

/** Says something on a socket that no HTTP client would say, and collects what comes back. */
export function exchange(port: number, { bytes, responses = 1, from, patience = 900 }: Exchange): Promise<Answered> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port, ...(from === undefined ? {} : { localAddress: from }) });
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ statuses: wholeAnswers(text), text });
    };
    const timer = setTimeout(end, patience);
    socket.on('connect', () => socket.write(bytes, 'latin1'));
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (wholeAnswers(text).length >= responses) end();
    });
    // A reset is one way to refuse.
    socket.on('error', end);
    socket.on('close', end);
  });
}

/** Statuses of the answers that have arrived whole; 1xx are no answers, but 101 ends HTTP. */
function wholeAnswers(text: string): number[] {
  const statuses: number[] = [];
  let at = 0;
  while (true) {
    const head = text.indexOf('\r\n\r\n', at);
    if (head === -1) return statuses;
    const fields = text.slice(at, head);
    const status = Number(/^HTTP\/1\.[01] ([0-9]{3})/.exec(fields)?.[1] ?? 0);
    const length = /^content-length: *([0-9]+)/im.exec(fields)?.[1];
    let end = head + 4;
    if (/^transfer-encoding: *chunked/im.test(fields)) {
      const last = text.indexOf('0\r\n\r\n', end);
      if (last === -1) return statuses;
      end = last + 5;
    } else if (length !== undefined) end += Number(length);
    if (end > text.length) return statuses;
    if (status === 101 || status >= 200) statuses.push(status);
    if (status === 101) return statuses;
    at = end;
  }
}

/** A request of raw lines; a Host line is added unless one of them, or `host: null`, says otherwise. */
export function written(options: {
  readonly method?: string;
  readonly target: string;
  readonly version?: string;
  readonly host?: string | null;
  readonly lines?: readonly string[];
  readonly body?: string;
}): string {
  const { method = 'GET', target, version = 'HTTP/1.1', host, lines = [], body } = options;
  const head = [
    `${method} ${target} ${version}`,
    ...(host === null ? [] : [`Host: ${host ?? '127.0.0.1'}`]),
    ...lines,
    ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
